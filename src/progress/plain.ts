import type { BuildEvent, StatusEvent } from '../events/index.ts';
import { formatBytes } from '../util/index.ts';
import { formatStepOutput } from './failure.ts';
import { endOfPart, seconds } from './text.ts';
import { activeTime, isOver, type StatusView, type StepView, type Trace } from './trace.ts';
import type { Renderer } from './types.ts';
import { usageLines } from './usage.ts';
import type { Writer } from './writer.ts';

/** A step that keeps producing is not interrupted for this long, in ms, by another one. */
const STEADY = 5000;
/** A step with news waits at most this long. */
const LONGEST_WAIT = 10_000;
/** A transfer is told of again after this long, or after this part of it. */
const STATUS_TIME = 5000;
const STATUS_PART = 0.05;
/** An unfinished line is shown after this long. */
const LINE_TIME = 1000;

/** Where output of a step stands in the log. */
interface Block {
  /** 0 before it is shown. */
  number: number;
  /** Events since the step was shown last, and when the first of them was. */
  count: number;
  since: number;
  warned: number;
  ended: boolean;
}

/** How plain progress is written. */
export interface PlainOptions {
  readonly description: string | undefined;
  readonly truncate: boolean;
  readonly rate: number;
  readonly now: () => number;
}

/**
 * Lines for a log: every line starts with the number of its step. Steps are shown in bursts; after one was interrupted its header
 * is repeated.
 */
export class PlainRenderer implements Renderer {
  readonly #trace: Trace;
  readonly #writer: Writer;
  readonly #options: PlainOptions;
  readonly #blocks = new Map<StepView, Block>();
  readonly #news = new Set<StepView>();
  #current: StepView | undefined;
  #begun = false;
  #last = 0;
  #printedAt = -Infinity;

  constructor(trace: Trace, writer: Writer, options: PlainOptions) {
    this.#trace = trace;
    this.#writer = writer;
    this.#options = options;
  }

  event(event: BuildEvent): void {
    const step = this.#trace.update(event);
    if (step === undefined || step.state === 'pending') return;
    this.#note(step);
    if (event.type === 'vertex' && event.state === 'started') this.#block(step).ended = false;
    const now = this.#options.now();
    if (now - this.#printedAt >= this.#options.rate && !this.#writer.busy) this.#print(now);
  }

  tick(): void {
    if (this.#writer.busy) return;
    const now = this.#options.now();
    for (const step of this.#trace.flush(now - LINE_TIME)) this.#note(step);
    this.#print(now);
  }

  close(): void {
    const now = this.#options.now();
    for (const step of this.#trace.flush(Infinity)) this.#note(step);
    const out: string[] = [];
    for (const step of this.#ended()) this.#step(step, now, out);
    for (const step of this.#news) this.#step(step, now, out);
    out.push(usageLines([...this.#blocks].map(([step, { number }]) => ({ number, step })).sort(byNumber)));
    for (const step of this.#trace.active) out.push(formatStepOutput(step));
    this.#writer.write(out.join(''));
  }

  /** Marks a step as having something to say. */
  #note(step: StepView): void {
    this.#news.add(step);
    const block = this.#block(step);
    if (block.count === 0) block.since = this.#options.now();
    block.count++;
  }

  #block(step: StepView): Block {
    let block = this.#blocks.get(step);
    if (block === undefined) {
      block = { number: 0, count: 0, since: this.#options.now(), warned: 0, ended: false };
      this.#blocks.set(step, block);
    }
    return block;
  }

  /** Writes what there is to say of one step at a time: steps that run together must not be mixed line by line. */
  #print(now: number): void {
    this.#printedAt = now;
    const out: string[] = [];
    const before = this.#current;
    for (const step of this.#ended()) this.#step(step, now, out);
    const next = this.#next(before, now);
    if (before !== undefined && next !== before && this.#news.has(before) && this.#current === before) {
      this.#step(before, now, out);
    }
    if (next !== undefined && (next !== this.#current || this.#news.has(next))) this.#step(next, now, out);
    this.#writer.write(out.join(''));
  }

  /** Steps that are over and not told of, the current one first, then by the time of their end. */
  #ended(): StepView[] {
    const end = (step: StepView): number =>
      step === this.#current ? -Infinity : (step.intervals.at(-1)?.stop ?? Infinity);
    return [...this.#news].filter((step) => isOver(step)).sort((a, b) => end(a) - end(b));
  }

  /** The step to show now among those that run. */
  #next(before: StepView | undefined, now: number): StepView | undefined {
    const current = this.#current;
    const waiting = [...this.#news].filter((step) => !isOver(step) && step !== current);
    if (current === undefined) {
      return this.#liveliest(waiting, now) ?? [...this.#trace.active].find((step) => step.state === 'started');
    }
    if (waiting.length === 0) return current;
    const overdue = waiting.find((step) => now - this.#block(step).since > LONGEST_WAIT);
    if (overdue !== undefined) return overdue;
    // The larger the share of the current step in what happens, the longer it stays.
    const speed = this.#speed(current, now);
    const others = waiting.reduce((sum, step) => sum + this.#speed(step, now), 0);
    const share = speed + others > 0 ? speed / (speed + others) : 0;
    const stay = share < 1 ? STEADY / (1 - share) : Infinity;
    return before === current && now - this.#block(current).since <= stay ? current : this.#liveliest(waiting, now);
  }

  /** The step with the most to say since it was last shown. */
  #liveliest(steps: readonly StepView[], now: number): StepView | undefined {
    let best: StepView | undefined;
    for (const step of steps) if (best === undefined || this.#speed(step, now) > this.#speed(best, now)) best = step;
    return best;
  }

  #speed(step: StepView, now: number): number {
    const { count, since } = this.#block(step);
    return count / Math.max(1, now - since);
  }

  /** Writes the news of a step. */
  #step(step: StepView, now: number, out: string[]): void {
    const number = this.#header(step, out);
    const block = this.#block(step);
    this.#news.delete(step);
    let open = false;
    for (const status of step.statuses.values()) {
      const { event } = status;
      if (!event.completed) open = true;
      if (!status.changed || !isTelling(status)) continue;
      status.changed = false;
      status.told = { at: event.at, current: event.current };
      out.push(`#${number} ${status.id}${amountOf(event, ' ')}${timeOf(status)}${event.completed ? ' done' : ''}\n`);
    }
    for (const warning of step.warnings.slice(block.warned)) out.push(`#${number} WARN: ${warning}\n`);
    block.warned = step.warnings.length;
    for (const line of step.fresh) out.push(`#${number} ${line}\n`);
    step.fresh = [];
    this.#current = step;
    if (!isOver(step)) return;
    if (!block.ended) out.push(`#${number} ${outcomeOf(step, now)}\n`);
    block.ended = true;
    if (open && step.state === 'done') return;
    this.#current = undefined;
    block.count = 0;
  }

  /** Turns to a step. Gives its number. */
  #header(step: StepView, out: string[]): number {
    const block = this.#block(step);
    if (this.#current === step) return block.number;
    if (block.number === 0) block.number = ++this.#last;
    const old = this.#current === undefined ? undefined : this.#blocks.get(this.#current);
    if (old !== undefined) {
      out.push(`#${old.number} ...\n`);
      old.count = 0;
    }
    const { description, truncate } = this.#options;
    if (this.#begun) out.push('\n');
    else if (description !== undefined) out.push(`#0 ${description}\n\n`);
    this.#begun = true;
    const name =
      truncate && step.name.length > 72 ? `${step.name.slice(0, endOfPart(step.name, 0, 72))}...` : step.name;
    out.push(`#${block.number} ${name}\n`);
    return block.number;
  }
}

function byNumber(a: { readonly number: number }, b: { readonly number: number }): number {
  return a.number - b.number;
}

function isTelling({ event, told }: StatusView): boolean {
  if (told === undefined || event.completed) return true;
  const part = event.total ? (event.current - told.current) / event.total : 0;
  return part >= STATUS_PART || event.at - told.at >= STATUS_TIME;
}

/** ` 1.00MB / 2.00MB`, ` 3 / 7`, or nothing. */
export function amountOf({ current, total, unit }: StatusEvent, before = ''): string {
  const show = (value: number): string => (unit === 'count' ? String(value) : formatBytes(value));
  if (total !== undefined && total > 0) return `${before}${show(current)} / ${show(total)}`;
  return current > 0 ? before + show(current) : '';
}

function timeOf({ started, event }: StatusView): string {
  const ms = event.at - started;
  return ms > 10 ? ` ${seconds(ms)}` : '';
}

function outcomeOf(step: StepView, now: number): string {
  switch (step.state) {
    case 'cached':
      return 'CACHED';
    case 'canceled':
      return 'CANCELED';
    case 'failed':
      return `ERROR: ${step.error ?? ''}`;
    case 'done':
    case 'pending':
    case 'started':
      return `DONE ${seconds(activeTime(step, now))}`;
  }
}
