/** What every long operation gets (`Task`), and the events that the engine emits; progress renders them. */
export type { BuildEvent, DiagnosticEvent, LogEvent, StatusEvent, Task, VertexEvent, VertexState } from './task.ts';
export {
  allCachedText,
  type AskedKey,
  type Difference,
  type ReasonEvent,
  type ReasonKind,
  type StepOutcome,
  type StepReason,
} from './reason.ts';
export { type ReportStatus, statusOf } from './report-status.ts';
export type { StepUsage, UsageEvent } from './usage.ts';
export { together } from './together.ts';
export { withinTime } from './within-time.ts';
