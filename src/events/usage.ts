import type { Digest } from '../util/digest.ts';

/** What a step used of the machine. Children of a process that ignores SIGCHLD are in no number. */
export interface StepUsage {
  /** Milliseconds of CPU time, in the step's programs and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  /** Bytes: the most memory that one of its processes had. */
  readonly peakMemory: number;
  /** Bytes: the most that all of it had together, with its files in memory and in the kernel's cache. Only where its memory was limited. */
  readonly groupMemory?: number;
  /** Bytes from and to disks: what the kernel's cache of files had counts as not read. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** What a RUN step used. Comes before the vertex ends, however it ends. */
export interface UsageEvent {
  readonly type: 'usage';
  readonly vertex: Digest;
  readonly usage: StepUsage;
  /** Milliseconds since the epoch. */
  readonly at: number;
}
