import type { BuildEvent, LogEvent, StatusEvent, StepUsage, VertexEvent } from '../events/index.ts';
import type { Diagnostic, Digest } from '../util/index.ts';
import { LineSplitter } from './lines.ts';
import { LogLimit } from './log-limit.ts';
import { cleanLine, oneLine, stamp } from './text.ts';
import { warningLine } from './warnings.ts';

/** A time during which a vertex ran; a vertex can run several times. */
export interface Interval {
  readonly start: number;
  stop?: number;
}

/** A part of a step, e.g. a transfer. */
export interface StatusView {
  readonly id: string;
  readonly started: number;
  event: StatusEvent;
  /** When and at which position plain output told of it last. */
  told?: { readonly at: number; readonly current: number };
  changed: boolean;
}

/** What is known of a step. Texts are clean. */
export interface StepView {
  readonly digest: Digest;
  name: string;
  state: VertexEvent['state'];
  error: string | undefined;
  /** Path of the file with its output, of a step that failed. */
  log: string | undefined;
  /** Of a RUN step that ran. */
  usage: StepUsage | undefined;
  readonly intervals: Interval[];
  readonly statuses: Map<string, StatusView>;
  readonly warnings: string[];
  /** Lines of output that nobody has taken yet, with their times. */
  fresh: string[];
  /** The last lines, with their times. */
  tail: string[];
  /** The last lines as a terminal shows them. */
  recent: string[];
  readonly streams: Map<1 | 2, { readonly lines: LineSplitter; readonly limit: LogLimit; waiting: number | undefined }>;
  logBytes: number;
}

/** How much output is kept. */
export interface TraceOptions {
  readonly colors: boolean;
  readonly logMaxSize: number;
  readonly logMaxSpeed: number;
  /** Lines to keep for the case of a failure, and for a terminal. */
  readonly tailLines: number;
  readonly recentLines: number;
  /** Somebody takes `fresh`. */
  readonly collect: boolean;
}

/** The state of a build, put together from its events. */
export class Trace {
  readonly #options: TraceOptions;
  /** All steps, in order of first appearance. */
  readonly steps: Map<Digest, StepView> = new Map();
  /** Steps that were started or are over, in that order. */
  readonly active: Set<StepView> = new Set();
  readonly warnings: Diagnostic[] = [];
  readonly #warned = new Set<string>();
  startedAt: number | undefined;

  constructor(options: TraceOptions) {
    this.#options = options;
  }

  /** Takes in an event. Gives the step that it changed. */
  update(event: BuildEvent): StepView | undefined {
    switch (event.type) {
      case 'vertex':
        return this.#vertex(event);
      case 'status':
        return this.#status(event);
      case 'log':
        return this.#log(event);
      case 'diagnostic':
        return this.#diagnostic(event.vertex, event.diagnostic);
      case 'usage': {
        // Told when all is over: no reason to turn to the step now.
        const step = this.steps.get(event.vertex);
        if (step !== undefined) step.usage = event.usage;
        return undefined;
      }
      case 'reason':
        return undefined;
    }
  }

  /** Takes unfinished lines that began before `before` for lines: a prompt, or the end. Gives the steps that have some. */
  flush(before: number): StepView[] {
    const changed: StepView[] = [];
    for (const step of this.active) {
      if (isOver(step)) continue;
      for (const stream of step.streams.values()) {
        if (stream.waiting === undefined || stream.waiting > before) continue;
        this.#lines(step, stream.waiting, stream.lines.flush());
        stream.waiting = undefined;
        changed.push(step);
      }
    }
    return changed;
  }

  #vertex(event: VertexEvent): StepView {
    const step = this.#step(event.vertex);
    step.name = oneLine(event.name);
    step.state = event.state;
    this.startedAt ??= event.state === 'pending' ? undefined : event.at;
    if (event.state === 'pending') return step;
    this.active.add(step);
    const last = step.intervals.at(-1);
    if (event.state === 'started') {
      step.error = undefined;
      if (last === undefined || last.stop !== undefined) step.intervals.push({ start: event.at });
      return step;
    }
    if (last === undefined) step.intervals.push({ start: event.at, stop: event.at });
    else last.stop ??= event.at;
    step.log = event.log;
    step.error = event.state === 'failed' ? oneLine(event.error ?? 'failed') : undefined;
    this.#endOutput(step, event.at);
    return step;
  }

  #step(digest: Digest): StepView {
    let step = this.steps.get(digest);
    if (step === undefined) {
      step = {
        digest,
        name: '',
        state: 'pending',
        error: undefined,
        log: undefined,
        usage: undefined,
        intervals: [],
        statuses: new Map(),
        warnings: [],
        fresh: [],
        tail: [],
        recent: [],
        streams: new Map(),
        logBytes: 0,
      };
      this.steps.set(digest, step);
    }
    return step;
  }

  #status(event: StatusEvent): StepView | undefined {
    const step = this.steps.get(event.vertex);
    if (step === undefined) return undefined;
    const status = step.statuses.get(event.id);
    if (status === undefined) {
      step.statuses.set(event.id, { id: oneLine(event.id), started: event.at, event, changed: true });
    } else {
      status.event = event;
      status.changed = true;
    }
    return step;
  }

  #log(event: LogEvent): StepView | undefined {
    const step = this.steps.get(event.vertex);
    if (step === undefined) return undefined;
    let stream = step.streams.get(event.stream);
    if (stream === undefined) {
      const { logMaxSize, logMaxSpeed } = this.#options;
      const limit = new LogLimit(step.intervals.at(-1)?.start ?? event.at, logMaxSize, logMaxSpeed);
      stream = { lines: new LineSplitter(), limit, waiting: undefined };
      step.streams.set(event.stream, stream);
    }
    const shown = stream.limit.take(event);
    step.logBytes += shown.length;
    this.#lines(step, event.at, stream.lines.push(shown));
    stream.waiting = stream.lines.rest === '' ? undefined : (stream.waiting ?? event.at);
    return step;
  }

  /** A last line without a newline is a line all the same. */
  #endOutput(step: StepView, at: number): void {
    for (const { lines, limit } of step.streams.values()) {
      const rest = limit.rest();
      this.#lines(step, at, rest.length > 0 ? [...lines.push(rest), ...lines.flush()] : lines.flush());
    }
    step.streams.clear();
  }

  #lines(step: StepView, at: number, lines: readonly string[]): void {
    if (lines.length === 0) return;
    const { colors, collect, tailLines, recentLines } = this.#options;
    const time = stamp(at - (step.intervals.at(-1)?.start ?? at));
    const clean = lines.map((line) => cleanLine(line, colors));
    const stamped = clean.map((line) => `${time} ${line}`.trimEnd());
    if (collect) for (const line of stamped) step.fresh.push(line);
    step.tail = [...step.tail, ...stamped.slice(-tailLines)].slice(-tailLines);
    step.recent = [...step.recent, ...clean.filter((line) => line !== '').slice(-recentLines)].slice(-recentLines);
  }

  #diagnostic(vertex: Digest | undefined, diagnostic: Diagnostic): StepView | undefined {
    const line = warningLine(diagnostic);
    const step = vertex === undefined ? undefined : this.steps.get(vertex);
    const key = `${line}\n${diagnostic.ranges[0]?.file ?? ''}`;
    if (this.#warned.has(key)) return undefined;
    this.#warned.add(key);
    this.warnings.push(diagnostic);
    step?.warnings.push(line);
    return step;
  }
}

/** Whether a step ended, for now at least. */
export function isOver(step: StepView): boolean {
  return step.state !== 'pending' && step.state !== 'started';
}

/** Milliseconds in which a step was active. */
export function activeTime(step: StepView, now: number): number {
  return step.intervals.reduce((sum, { start, stop }) => sum + Math.max(0, (stop ?? now) - start), 0);
}
