/** What every long operation gets (`Task`), and the events that the engine emits; progress renders them. */
export type { BuildEvent, DiagnosticEvent, LogEvent, StatusEvent, Task, VertexEvent, VertexState } from './task.ts';
export type { AskedKey, Difference, ReasonEvent, ReasonKind, StepOutcome, StepReason } from './reason.ts';
export { type ReportStatus, statusOf } from './report-status.ts';
export { together } from './together.ts';
