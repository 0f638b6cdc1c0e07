import type { StepUsage, VertexState } from '../events/index.ts';
import type { ReportOutput, Span, StepLog, WhyStep } from './facts.ts';

/** The form of what is kept in the store; another one is not read. */
export const RECORD_VERSION = 1;

/** What happened in a build, as it is kept: everything of a report but what can be computed. Times are milliseconds after the start. */
export interface BuildRecord {
  readonly version: typeof RECORD_VERSION;
  /** Of tsbuild. */
  readonly tsbuild: string;
  readonly startedAt: number;
  readonly ms: number;
  readonly about: BuildSubject;
  readonly result: 'done' | 'failed' | 'canceled';
  readonly error?: { readonly message: string; readonly hint?: string };
  readonly outputs: readonly ReportOutput[];
  readonly platforms: readonly string[];
  readonly vertices: readonly RecordedVertex[];
  readonly warnings: readonly RecordedWarning[];
  readonly layers: readonly RecordedLayer[];
  readonly dockerfile?: { readonly name: string; readonly text: string };
}

/** What was asked for. */
export interface BuildSubject {
  readonly title: string;
  readonly context: string;
  readonly target?: string;
}

/** A vertex as the store remembers it. */
export interface RecordedVertex {
  readonly digest: string;
  readonly name: string;
  /** Places in `vertices`. */
  readonly inputs: readonly number[];
  readonly state: VertexState;
  readonly spans: readonly Span[];
  /** It is of the build graph. */
  readonly inGraph: boolean;
  readonly lines?: readonly [number, number];
  readonly reason?: WhyStep;
  readonly error?: string;
  readonly log?: StepLog;
  readonly usage?: StepUsage;
  readonly parts: readonly RecordedPart[];
}

/** A part of a vertex with progress of its own. */
export interface RecordedPart {
  readonly id: string;
  readonly span: Span;
  readonly current: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'count';
}

/** A diagnostic as the store remembers it. */
export interface RecordedWarning {
  readonly code: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  readonly vertex?: number;
  readonly file?: string;
  readonly lines?: readonly [number, number];
}

/** A layer of the result. */
export interface RecordedLayer {
  readonly platform?: string;
  /** The name of the vertex that made it, or of the image that it is from. */
  readonly description: string;
  readonly isForeign: boolean;
  readonly mediaType?: string;
  readonly digest?: string;
  readonly size?: number;
  /** Of its directory, where there is no blob. */
  readonly bytes?: number;
}
