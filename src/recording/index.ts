/**
 * The recorded network of steps: a proxy that writes down what servers answer, and gives the same answers again without them.
 */
export { BuildRecording, type StepRecording } from './build-recording.ts';
export type { RecordMode } from './tape.ts';
