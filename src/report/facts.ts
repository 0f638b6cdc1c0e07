/**
 * What a report says, in its HTML and in its JSON form: docs/report.md describes it. Times are milliseconds after `build.startedAt`, sizes
 * bytes; steps are named by their place in `steps`. Texts are clean: without control characters, escape sequences and bidi overrides.
 */

/** The form of the facts; another form has another name. */
export const SCHEMA = 'tsbuild.report.v1';

/** From and to, in milliseconds after the start of the build. */
export type Span = readonly [start: number, end: number];

/** `ran`: it was done; `cached`: its result was known; `skipped`: nothing was asked of it before the build ended. */
export type StepState = 'ran' | 'cached' | 'failed' | 'canceled' | 'skipped';

/**
 * `step`: of the Dockerfile; `source`: a base image, a context or something from elsewhere; `internal`: what comes before, such as loading
 * the Dockerfile; `output`: exporting and pushing.
 */
export type StepKind = 'step' | 'source' | 'internal' | 'output';

/** Why a step hit or missed the cache, in the words of `StepReason` of src/events. */
export interface WhyStep {
  /** `hit`, `changed`, `input`, `new`, `no-record`, `gone`, `no-cache` or `none`. */
  readonly kind: string;
  /** One line. */
  readonly text: string;
  /** What is not as it was when the step last ran: the first ones. */
  readonly differences: readonly Difference[];
  /** How many there are besides. */
  readonly more: number;
  /** The step whose change is the reason. */
  readonly cause?: number;
  /** The cache of another machine that had it. */
  readonly from?: string;
}

/** One thing that is not as it was. */
export interface Difference {
  /** `file`, `variable`, `base`, `command`, `option`, `source` or `device`. */
  readonly what: string;
  readonly name: string;
  /** `added`, `removed`, `changed`; of files also `mode`, `owner`, `type` and `target`. */
  readonly change: string;
  readonly before?: string;
  readonly after?: string;
}

/** Output of a step, as far as it was kept: its beginning and its end. */
export interface StepLog {
  readonly lines: readonly string[];
  /** When each line came. */
  readonly times: readonly number[];
  /** All that the step printed, in bytes. */
  readonly bytes: number;
  /** What was left out, and before which line. Absent: nothing. */
  readonly lost?: { readonly bytes: number; readonly before: number };
}

/** A step as the page shows it. */
export interface ReportStep {
  readonly digest: string;
  /** As the progress shows it: `[build 2/3] RUN make`. */
  readonly name: string;
  readonly kind: StepKind;
  readonly stage?: string;
  /** Which of the stage's steps it is: `2/3`. */
  readonly number?: string;
  readonly platform?: string;
  /** The name without these. */
  readonly text: string;
  readonly state: StepState;
  /** When it was at work. A base image is at work once more when its layers are fetched. */
  readonly spans: readonly Span[];
  /** Milliseconds in all. */
  readonly ms: number;
  /** Steps that it stands on. */
  readonly inputs: readonly number[];
  /** First and last line in the Dockerfile, from 1. */
  readonly lines?: readonly [number, number];
  readonly reason?: WhyStep;
  readonly error?: string;
  /** Whether it is on the critical path. */
  readonly critical: boolean;
  readonly log?: StepLog;
  readonly usage?: StepUse;
}

/** What a RUN step used of the machine. */
export interface StepUse {
  /** Milliseconds of CPU time, in the step's programs and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  /** The most memory that one of its processes had. */
  readonly peakMemory: number;
  /** The most of all of it together, with its files in memory and in the kernel's cache; where memory was limited. */
  readonly groupMemory?: number;
  /** From and to disks. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** `down`, `up`: over the network; `local`: within the machine, such as reading the context. */
export type Direction = 'down' | 'up' | 'local';

/** Bytes on their way. */
export interface ReportTransfer {
  readonly step: number;
  /** A digest, or words such as `transferring context`. */
  readonly id: string;
  readonly direction: Direction;
  readonly span: Span;
  readonly bytes: number;
  readonly total?: number;
}

/** One piece of the chain that the build's duration hangs on: pieces do not overlap. */
export interface CriticalPiece {
  readonly step: number;
  readonly span: Span;
}

/** A path with the bytes of its content. */
export interface SizedPath {
  readonly path: string;
  readonly size: number;
}

/** A layer of a result. */
export interface ReportLayer {
  readonly platform?: string;
  readonly digest?: string;
  /** The step that made it; absent for layers of base images. */
  readonly step?: number;
  readonly text: string;
  /** Bytes of its blob, compressed. */
  readonly size?: number;
  /** Bytes of its files; absent where it was not looked into. */
  readonly contentSize?: number;
  readonly files?: number;
  readonly largestDirectories?: readonly SizedPath[];
  readonly largestFiles?: readonly SizedPath[];
}

/** A warning, with its place where it has one. */
export interface ReportWarning {
  readonly code: string;
  readonly message: string;
  readonly description?: string;
  /** Only addresses of web pages. */
  readonly url?: string;
  readonly step?: number;
  readonly file?: string;
  readonly lines?: readonly [number, number];
}

/** What was written. */
export interface ReportOutput {
  readonly names: readonly string[];
  readonly digest: string;
}

/** A whole report. */
export interface ReportFacts {
  readonly schema: typeof SCHEMA;
  /** Version of tsbuild. */
  readonly version: string;
  readonly build: {
    /** What was built: a name, a target or the name of the context's directory. */
    readonly title: string;
    readonly result: 'done' | 'failed' | 'canceled';
    /** Milliseconds since the epoch. */
    readonly startedAt: number;
    readonly ms: number;
    readonly context: string;
    readonly target?: string;
    readonly platforms: readonly string[];
    readonly outputs: readonly ReportOutput[];
    readonly error?: { readonly message: string; readonly hint?: string; readonly step?: number };
  };
  readonly summary: {
    /** Steps and sources of the Dockerfile. */
    readonly steps: number;
    readonly ran: number;
    readonly cached: number;
    readonly failed: number;
    /** Cached ones among those that ran or were cached, from 0 to 1; absent without any. */
    readonly hitRate?: number;
    readonly downloaded: number;
    readonly uploaded: number;
    /** Read from the context. */
    readonly contextBytes: number;
    /** Of all layers, compressed; absent where that is not known. */
    readonly imageBytes?: number;
    readonly criticalMs: number;
    /** CPU time of all RUN steps that ran; absent without any. */
    readonly cpuMs?: number;
  };
  readonly steps: readonly ReportStep[];
  readonly transfers: readonly ReportTransfer[];
  readonly criticalPath: readonly CriticalPiece[];
  readonly layers: readonly ReportLayer[];
  /** Of the layers that were looked into, the largest first. */
  readonly directories: readonly SizedPath[];
  readonly warnings: readonly ReportWarning[];
  readonly dockerfile?: { readonly name: string; readonly text: string };
}
