/** What every long operation gets (`Task`), and the events that the engine emits; progress renders them. */
export {
  type BuildEvent,
  type DiagnosticEvent,
  type LogEvent,
  type StatusEvent,
  type Task,
  type VertexEvent,
  type VertexState,
} from './task.ts';
