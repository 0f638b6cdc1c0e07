import type { Digest } from '../util/digest.ts';
import type { Diagnostic } from '../util/source.ts';
import type { ReasonEvent } from './reason.ts';
import type { UsageEvent } from './usage.ts';

/** What every long operation gets: the signal that cancels it and the place its events go. */
export interface Task {
  readonly signal: AbortSignal;
  readonly events: (event: BuildEvent) => void;
  /** What the work is shown under; long waits for other machines are told there. */
  readonly vertex?: Digest;
}

/** What a vertex went over to. `cached` comes instead of `started` and `done`. */
export type VertexState = 'pending' | 'started' | 'cached' | 'done' | 'failed' | 'canceled';

/** A change in the state of a vertex. Internal work (loading metadata, exporting) has vertices too, with made-up digests. */
export interface VertexEvent {
  readonly type: 'vertex';
  readonly vertex: Digest;
  readonly name: string;
  readonly inputs: readonly Digest[];
  readonly state: VertexState;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** For `failed`: the text for the progress display. */
  readonly error?: string;
  /** For `failed`: path of a file with all that the step printed, so far as it is within bounds. */
  readonly log?: string;
}

/** Output of a step. Bytes are as the step wrote them but for the values of secrets: whoever shows them sanitizes. */
export interface LogEvent {
  readonly type: 'log';
  readonly vertex: Digest;
  readonly stream: 1 | 2;
  readonly data: Uint8Array;
  readonly at: number;
}

/** Progress of one part of a vertex, e.g. the transfer of a layer. */
export interface StatusEvent {
  readonly type: 'status';
  readonly vertex: Digest;
  /** Names the part within the vertex, e.g. `transferring context` or a layer's digest. */
  readonly id: string;
  /** Bytes, or a count where `unit` says so. */
  readonly current: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'count';
  readonly at: number;
  /** Set once the part is complete. */
  readonly completed?: boolean;
}

/** A warning or lint finding. */
export interface DiagnosticEvent {
  readonly type: 'diagnostic';
  readonly vertex?: Digest;
  readonly diagnostic: Diagnostic;
  readonly at: number;
}

/** The single output of the engine; src/progress renders it. */
export type BuildEvent = VertexEvent | LogEvent | StatusEvent | DiagnosticEvent | ReasonEvent | UsageEvent;
