import { type Diagnostic, TsbuildError } from '../util/index.ts';
import { createPalette } from './colors.ts';
import { formatStepOutput } from './failure.ts';
import { PlainRenderer } from './plain.ts';
import { RawJsonRenderer } from './rawjson.ts';
import { Trace } from './trace.ts';
import { TtyRenderer } from './tty.ts';
import type { Progress, ProgressOptions, Renderer } from './types.ts';
import { Writer } from './writer.ts';

const MEBIBYTE = 1024 * 1024;

/**
 * Makes a display for the events of a build.
 * @throws TsbuildError `TSB_USAGE` for mode `tty` without a terminal
 */
export function createProgress(options: ProgressOptions): Progress {
  const mode = chooseMode(options);
  const writer = new Writer(options);
  const limits = { logMaxSize: options.logMaxSize ?? 2 * MEBIBYTE, logMaxSpeed: options.logMaxSpeed ?? 200 * 1024 };
  const trace = new Trace({
    ...limits,
    colors: mode === 'plain' && options.output.isTTY === true && !options.noColor,
    tailLines: Math.max(1, options.failureLines ?? 10),
    recentLines: logLinesOf(options),
    collect: mode === 'plain',
  });
  const renderer = createRenderer(mode, options, trace, writer, limits);
  const every = options.every ?? interval;
  const stop =
    mode === 'tty' || mode === 'plain'
      ? every(options.displayRate ?? 150, () => guard(() => renderer.tick()))
      : undefined;
  let closed = false;
  return {
    mode,
    events: (event) => {
      if (!closed) guard(() => renderer.event(event));
    },
    get warnings(): readonly Diagnostic[] {
      return trace.warnings;
    },
    async close() {
      if (!closed) {
        closed = true;
        stop?.();
        guard(() => renderer.close());
      }
      await writer.flushed();
    },
  };
}

function chooseMode(options: ProgressOptions): Progress['mode'] {
  const { mode, term } = options;
  if (mode !== 'auto' && mode !== 'tty') return mode;
  const terminal = options.output.isTTY === true;
  if (mode === 'auto') return terminal && term !== 'dumb' ? 'tty' : 'plain';
  if (!terminal) {
    throw new TsbuildError('TSB_USAGE', 'Cannot show progress "tty": the output is not a terminal', {
      hint: 'use --progress=plain, or leave it out',
    });
  }
  return mode;
}

function createRenderer(
  mode: Progress['mode'],
  options: ProgressOptions,
  trace: Trace,
  writer: Writer,
  limits: { readonly logMaxSize: number; readonly logMaxSpeed: number },
): Renderer {
  const { now } = options;
  const rate = options.displayRate ?? 100;
  switch (mode) {
    case 'plain':
      return new PlainRenderer(trace, writer, {
        description: options.description,
        truncate: options.truncate ?? false,
        rate,
        now,
      });
    case 'tty':
      return new TtyRenderer(trace, writer, {
        phase: options.phase ?? 'Building',
        label: options.label,
        palette: paletteOf(options),
        faint: !options.noColor,
        logLines: logLinesOf(options),
        rate,
        now,
      });
    case 'rawjson': {
      const renderer = new RawJsonRenderer(writer, limits);
      return {
        event: (event) => {
          if (event.type === 'diagnostic') trace.update(event);
          renderer.event(event);
        },
        tick: () => undefined,
        close: () => undefined,
      };
    }
    case 'quiet':
    case 'none':
      return {
        event: (event) => void trace.update(event),
        tick: () => undefined,
        close: () => {
          if (mode === 'quiet') writer.write([...trace.active].map((step) => formatStepOutput(step)).join(''));
        },
      };
  }
}

function paletteOf({ noColor, colors }: ProgressOptions): ReturnType<typeof createPalette> {
  return createPalette({ noColor: noColor ?? false, ...(colors === undefined ? {} : { custom: colors }) });
}

function logLinesOf({ logLines }: ProgressOptions): number {
  return logLines !== undefined && logLines >= 1 ? Math.min(100, Math.floor(logLines)) : 6;
}

/** A display must not make a build fail. */
function guard(show: () => void): void {
  try {
    show();
  } catch {
    // What cannot be shown is lost.
  }
}

function interval(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}
