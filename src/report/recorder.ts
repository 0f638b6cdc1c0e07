import type { BuildEvent, StatusEvent, StepReason, StepUsage, VertexEvent } from '../events/index.ts';
import {
  type Diagnostic,
  type Digest,
  redactUrls,
  sanitizeLine,
  type SourceFile,
  type SourceRange,
  version,
} from '../util/index.ts';
import { BoundedLog, type LogBudget, type LogLimits } from './bounded-log.ts';
import type { ReportOutput, Span, WhyStep } from './facts.ts';
import { logLines } from './log-lines.ts';
import {
  type BuildRecord,
  type BuildSubject,
  RECORD_VERSION,
  type RecordedLayer,
  type RecordedVertex,
  type RecordedWarning,
} from './record.ts';

/** Of what is kept of every build: bounded so that it costs nothing that one could measure. */
export const KEPT_LOGS: LogLimits = { head: 16 << 10, tail: 48 << 10, total: 1 << 20 };
/** Of what goes into a report that was asked for. */
export const REPORTED_LOGS: LogLimits = { head: 256 << 10, tail: 768 << 10, total: 8 << 20 };

/** Bounds against graphs and images that are made to be large. */
const MAX_VERTICES = 10_000;
const MAX_PARTS = 500;
const MAX_WARNINGS = 1000;
const MAX_NAME = 4000;
const MAX_DOCKERFILE = 1 << 20;

interface Seen {
  readonly place: number;
  name: string;
  inputs: readonly Digest[];
  state: VertexEvent['state'];
  error: string | undefined;
  reason: StepReason | undefined;
  readonly spans: [number, number][];
  /** When it was last started, while it is at work. */
  since: number | undefined;
  log: BoundedLog | undefined;
  usage?: StepUsage;
  readonly parts: Map<string, { started: number; last: StatusEvent }>;
}

/** The plan of a build, as src/engine tells it. */
export interface RecordedPlan {
  readonly dockerfile: SourceFile;
  readonly platforms: readonly string[];
  readonly ranges: ReadonlyMap<Digest, readonly SourceRange[]>;
}

/** How a build ended. */
export interface RecordedEnd {
  readonly result: BuildRecord['result'];
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly error?: { readonly message: string; readonly hint?: string | undefined };
  readonly outputs?: readonly ReportOutput[];
  readonly layers?: readonly RecordedLayer[];
}

/** A record is kept and passed on: no address in it has its credentials (SEC-07), wherever that came from. */
function withoutCredentials<T>(value: T): T {
  if (typeof value === 'string') return (value.includes('@') ? redactUrls(value) : value) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => withoutCredentials(item)) as T;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withoutCredentials(item as unknown)]),
  ) as T;
}

/** Takes in the events of a build, which secrets are hidden in, and gives what is worth remembering of them. */
export class BuildRecorder {
  readonly #about: BuildSubject;
  readonly #startedAt: number;
  readonly #limits: LogLimits;
  readonly #budget: LogBudget;
  readonly #seen = new Map<Digest, Seen>();
  readonly #warnings: { vertex: Digest | undefined; diagnostic: Diagnostic }[] = [];
  readonly #warned = new Set<string>();
  #plan: RecordedPlan | undefined;

  /** @param startedAt ms since the epoch, by the clock of the events */
  constructor(about: BuildSubject, startedAt: number, limits: LogLimits) {
    this.#about = about;
    this.#startedAt = startedAt;
    this.#limits = limits;
    this.#budget = { left: limits.total };
  }

  event(event: BuildEvent): void {
    switch (event.type) {
      case 'vertex':
        return this.#vertex(event);
      case 'log': {
        const seen = this.#seen.get(event.vertex);
        if (seen === undefined) return;
        (seen.log ??= new BoundedLog(this.#limits, this.#budget)).write(event.data, event.stream, event.at);
        return;
      }
      case 'status': {
        const parts = this.#seen.get(event.vertex)?.parts;
        const part = parts?.get(event.id);
        if (part !== undefined) part.last = event;
        else if (parts !== undefined && parts.size < MAX_PARTS) parts.set(event.id, { started: event.at, last: event });
        return;
      }
      case 'reason': {
        const seen = this.#seen.get(event.vertex);
        if (seen !== undefined) seen.reason = event.reason;
        return;
      }
      case 'usage': {
        const seen = this.#seen.get(event.vertex);
        if (seen !== undefined) seen.usage = event.usage;
        return;
      }
      case 'diagnostic': {
        const { code, message, ranges } = event.diagnostic;
        const key = `${code}\n${message}\n${ranges[0]?.startLine ?? ''}`;
        if (this.#warned.has(key) || this.#warned.size >= MAX_WARNINGS) return;
        this.#warned.add(key);
        this.#warnings.push({ vertex: event.vertex, diagnostic: event.diagnostic });
        return;
      }
    }
  }

  /** What is built, once that is known. */
  plan(plan: RecordedPlan): void {
    this.#plan = plan;
  }

  /** What there is to remember. What is still at work counts as canceled. */
  finish({ result, at, error, outputs = [], layers = [] }: RecordedEnd): BuildRecord {
    const plan = this.#plan;
    const text = plan?.dockerfile.text ?? '';
    return withoutCredentials({
      version: RECORD_VERSION,
      tsbuild: version,
      startedAt: this.#startedAt,
      ms: this.#after(at),
      about: this.#about,
      result,
      ...(error === undefined
        ? {}
        : {
            error: {
              message: sanitizeLine(error.message, MAX_NAME),
              ...(error.hint === undefined ? {} : { hint: sanitizeLine(error.hint, MAX_NAME) }),
            },
          }),
      outputs,
      platforms: plan?.platforms ?? [],
      vertices: [...this.#seen].map(([digest, seen]) => this.#recorded(digest, seen, at)),
      warnings: this.#warnings.map((one) => this.#warning(one)),
      layers,
      ...(plan === undefined || text.length > MAX_DOCKERFILE
        ? {}
        : { dockerfile: { name: plan.dockerfile.name, text } }),
    });
  }

  #vertex({ vertex, name, inputs, state, at, error }: VertexEvent): void {
    let seen = this.#seen.get(vertex);
    if (seen === undefined) {
      if (this.#seen.size >= MAX_VERTICES) return;
      const place = this.#seen.size;
      const fresh = { log: undefined, since: undefined, error: undefined, reason: undefined };
      seen = { ...fresh, place, name, inputs, state, spans: [], parts: new Map() };
      this.#seen.set(vertex, seen);
    }
    seen.name = name;
    // A base image is shown once more while its layers are fetched, without inputs.
    if (inputs.length > 0) seen.inputs = inputs;
    if (state === 'started') seen.since ??= at;
    else if (seen.since !== undefined && state !== 'pending') {
      seen.spans.push([seen.since, at]);
      seen.since = undefined;
    }
    // What ran once and was looked at again ran.
    if (!(state === 'cached' && seen.state === 'done')) seen.state = state;
    if (error !== undefined) seen.error = error;
  }

  #after(at: number): number {
    return Math.max(0, Math.round(at - this.#startedAt));
  }

  #span([start, end]: readonly [number, number]): Span {
    return [this.#after(start), Math.max(this.#after(start), this.#after(end))];
  }

  #recorded(digest: Digest, seen: Seen, at: number): RecordedVertex {
    const { name, state, error, reason, spans, since, usage, parts } = seen;
    const ranges = this.#plan?.ranges.get(digest);
    const lines = linesOf(ranges ?? []);
    const log = seen.log && logLines(seen.log, this.#startedAt);
    const inputs = seen.inputs.flatMap((input) => this.#seen.get(input)?.place ?? []);
    return {
      digest,
      name: sanitizeLine(name, MAX_NAME),
      inputs: [...new Set(inputs)],
      state: since === undefined ? state : 'canceled',
      spans: [...spans, ...(since === undefined ? [] : [[since, at] as [number, number]])].map((span) =>
        this.#span(span),
      ),
      inGraph: ranges !== undefined,
      ...(lines === undefined ? {} : { lines }),
      ...(reason === undefined || reason.kind === 'none' ? {} : { reason: this.#why(reason) }),
      ...(error === undefined ? {} : { error: sanitizeLine(error, MAX_NAME) }),
      ...(log === undefined ? {} : { log }),
      ...(usage === undefined ? {} : { usage }),
      parts: [...parts].map(([id, { started, last }]) => ({
        id: sanitizeLine(id, 200),
        span: this.#span([started, last.at]),
        current: last.current,
        ...(last.total === undefined ? {} : { total: last.total }),
        ...(last.unit === undefined ? {} : { unit: last.unit }),
      })),
    };
  }

  #why({ kind, text, differences, more, cause, from }: StepReason): WhyStep {
    const place = cause === undefined ? undefined : this.#seen.get(cause)?.place;
    const short = (value: string): string => sanitizeLine(value, MAX_NAME);
    return {
      kind,
      text: short(text),
      differences: differences.map(({ what, name, change, before, after }) => ({
        what,
        name: short(name),
        change,
        ...(before === undefined ? {} : { before: short(before) }),
        ...(after === undefined ? {} : { after: short(after) }),
      })),
      more,
      ...(place === undefined ? {} : { cause: place }),
      ...(from === undefined ? {} : { from: short(from) }),
    };
  }

  #warning({ vertex, diagnostic }: { vertex: Digest | undefined; diagnostic: Diagnostic }): RecordedWarning {
    const { code, message, description, url, ranges } = diagnostic;
    const place = vertex === undefined ? undefined : this.#seen.get(vertex)?.place;
    const lines = linesOf(ranges);
    const [range] = ranges;
    return {
      code: sanitizeLine(code, 200),
      message: sanitizeLine(message, MAX_NAME),
      ...(description === undefined ? {} : { description: sanitizeLine(description, MAX_NAME) }),
      // Other schemes could do something when they are clicked at.
      ...(url !== undefined && /^https?:\/\//.test(url) ? { url: sanitizeLine(url, 2000) } : {}),
      ...(place === undefined ? {} : { vertex: place }),
      ...(range === undefined ? {} : { file: sanitizeLine(range.file, MAX_NAME) }),
      ...(lines === undefined ? {} : { lines }),
    };
  }
}

/** From the first to the last line that ranges are about. */
function linesOf(ranges: readonly SourceRange[]): readonly [number, number] | undefined {
  if (ranges.length === 0) return undefined;
  const starts = ranges.map(({ startLine }) => startLine);
  const ends = ranges.map(({ endLine }) => endLine);
  return [Math.min(...starts), Math.max(...ends)];
}
