import type { BuildEvent } from '../events/index.ts';
import type { Diagnostic } from '../util/index.ts';

/** `auto` is `tty` on a terminal and `plain` elsewhere; `quiet` shows failed steps only, `none` nothing at all. */
export type ProgressMode = 'auto' | 'tty' | 'plain' | 'quiet' | 'rawjson' | 'none';

/** Where progress goes; `process.stderr` fits. */
export interface ProgressOutput {
  write(text: string, callback: (error?: Error | null) => void): boolean;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  /** Width and height; read before every frame, so that a resize takes effect. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  readonly isTTY?: boolean | undefined;
}

/** How a build is shown. */
export interface ProgressOptions {
  readonly mode: ProgressMode;
  readonly output: ProgressOutput;
  /** Milliseconds since the epoch, the clock that the events come from. */
  readonly now: () => number;
  /** First line of plain output, `#0 …`. */
  readonly description?: string;
  /** What stands at the right of the header on a terminal. */
  readonly label?: string;
  /** First word of the header on a terminal. Default `Building`. */
  readonly phase?: string;
  /** NO_COLOR is set and not empty. */
  readonly noColor?: boolean;
  /** BUILDKIT_COLORS, e.g. `run=green:error=255,0,0`. */
  readonly colors?: string;
  /** BUILDKIT_TTY_LOG_LINES: lines of output shown per running step on a terminal. Default 6. */
  readonly logLines?: number;
  /** TTY_DISPLAY_RATE: milliseconds between frames. Default 100 after an event, 150 otherwise. */
  readonly displayRate?: number;
  /** PROGRESS_NO_TRUNC is "0": plain cuts names at 72 characters. */
  readonly truncate?: boolean;
  /** TERM. `dumb` is no terminal. */
  readonly term?: string;
  /** BUILDKIT_STEP_LOG_MAX_SIZE in bytes, -1 for no limit. Default 2 MiB. */
  readonly logMaxSize?: number;
  /** BUILDKIT_STEP_LOG_MAX_SPEED in bytes per second, -1 for no limit. Default 200 KiB. */
  readonly logMaxSpeed?: number;
  /** Lines of output shown of a failed step. Default 10. */
  readonly failureLines?: number;
  /** Calls back every `ms` milliseconds; returns how to stop. Default: an interval timer that does not keep the process alive. */
  readonly every?: (ms: number, callback: () => void) => () => void;
}

/** A display of a build. */
export interface Progress {
  /** The mode that `auto` came to. */
  readonly mode: Exclude<ProgressMode, 'auto'>;
  /** For `Task.events`. Never throws. */
  readonly events: (event: BuildEvent) => void;
  /** The warnings shown so far, each once. */
  readonly warnings: readonly Diagnostic[];
  /** Shows the last state and the output of failed steps, gives the terminal back, and resolves when all is written. */
  close(): Promise<void>;
}

/** A way to show a build. */
export interface Renderer {
  event(event: BuildEvent): void;
  /** Called now and then, to show that time passes. */
  tick(): void;
  close(): void;
}
