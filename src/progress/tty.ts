import type { BuildEvent } from '../events/index.ts';
import { type Palette, paint } from './colors.ts';
import { formatStepOutput } from './failure.ts';
import { amountOf } from './plain.ts';
import { cut, expandTabs, seconds, widthOf } from './text.ts';
import { activeTime, isOver, type StepView, type Trace } from './trace.ts';
import type { Renderer } from './types.ts';
import type { Writer } from './writer.ts';

/** The terminal that is drawn on. */
export interface TtyOptions {
  readonly phase: string;
  readonly label: string | undefined;
  readonly palette: Palette;
  readonly faint: boolean;
  readonly logLines: number;
  readonly rate: number;
  readonly now: () => number;
}

/** Before output of a step. */
const OUTPUT_MARK = ' => => # ';

/** A line of the display: a step or a part of one. */
interface Row {
  readonly text: string;
  readonly amount: string;
  readonly ms: number;
  readonly over: boolean;
  readonly color: string | undefined;
  /** The step whose output may be shown beneath. */
  readonly step?: StepView;
}

/** Redraws one screen: a header, and a line for every step that was started. */
export class TtyRenderer implements Renderer {
  readonly #trace: Trace;
  readonly #writer: Writer;
  readonly #options: TtyOptions;
  /** Columns taken by each line of the last frame. */
  #drawn: number[] = [];
  #drawnAt = -Infinity;

  constructor(trace: Trace, writer: Writer, options: TtyOptions) {
    this.#trace = trace;
    this.#writer = writer;
    this.#options = options;
  }

  event(event: BuildEvent): void {
    this.#trace.update(event);
    if (this.#options.now() - this.#drawnAt >= this.#options.rate) this.#draw(false);
  }

  tick(): void {
    this.#draw(false);
  }

  close(): void {
    this.#draw(true);
    this.#writer.write([...this.#trace.active].map((step) => formatStepOutput(step)).join(''));
  }

  /** Overwrites what was drawn before; `last` leaves it standing. */
  #draw(last: boolean): void {
    // A terminal that lags behind gets fewer frames.
    if ((this.#writer.busy && !last) || (!last && this.#trace.active.size === 0)) return;
    const now = this.#options.now();
    this.#drawnAt = now;
    const { columns, rows } = this.#writer.size;
    const header = this.#header(columns, now, last);
    const lines = [header, ...this.#body(columns, rows, now, last)];
    // A narrower terminal has wrapped the lines of the last frame.
    const up = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    // On a single row a newline would scroll: the header is overwritten in place.
    const flat = rows === 1 && !last;
    this.#drawn = flat ? [] : lines.map(({ width }) => width);
    const back = up > 0 ? `\u001b[${Math.min(up, Math.max(1, rows - 1))}A` : '';
    const frame = flat ? `${header.text}\u001b[K` : lines.map(({ text }) => `${text}\u001b[K\n`).join('');
    this.#writer.write(`\u001b[?25l${back}\r${frame}\u001b[J\u001b[?25h`);
  }

  #header(columns: number, now: number, last: boolean): Line {
    const { phase, label } = this.#options;
    const steps = [...this.#trace.steps.values()];
    const over = steps.filter(isOver).length;
    const finished = last && over > 0 && over === steps.length ? ' FINISHED' : '';
    const time = seconds(now - (this.#trace.startedAt ?? now));
    const left = cut(`[+] ${phase} ${time} (${over}/${steps.length})${finished}`, columns);
    if (label === undefined || widthOf(left) + widthOf(label) + 2 > columns) return plainLine(left);
    return plainLine(left + ' '.repeat(Math.max(1, columns - 1 - widthOf(left) - widthOf(label))) + label);
  }

  #body(columns: number, rows: number, now: number, last: boolean): Line[] {
    let shown = this.#rows(now);
    const logs = last ? new Set<StepView>() : this.#withOutput(shown, rows);
    if (!last) {
      const logLines = [...logs].reduce((sum, step) => sum + this.#output(step).length, 0);
      shown = fit(shown, rows - 2 - logLines);
    }
    const lines: Line[] = [];
    for (const row of shown) {
      const line = formatRow(row, columns);
      if (line === undefined) continue;
      lines.push(line);
      if (row.step === undefined || !logs.has(row.step)) continue;
      for (const output of this.#output(row.step)) {
        const text = cut(OUTPUT_MARK + expandTabs(output), columns - 1);
        lines.push({ text: this.#options.faint ? paint(text, '2') : text, width: widthOf(text) });
      }
    }
    return lines;
  }

  /** What there is to show: steps, each with its transfers beneath. */
  #rows(now: number): Row[] {
    const { palette } = this.#options;
    const rows: Row[] = [];
    for (const step of this.#trace.active) {
      const over = isOver(step);
      rows.push({
        text: prefixOf(step) + step.name,
        amount: '',
        ms: activeTime(step, now),
        over,
        color: step.state === 'canceled' ? palette.cancel : step.state === 'failed' ? palette.error : palette.run,
        step,
      });
      for (const { id, started, event } of step.statuses.values()) {
        const completed = event.completed === true || over;
        rows.push({
          text: `=> ${id}`,
          amount: amountOf(event),
          ms: (completed ? event.at : now) - started,
          over: completed,
          color: palette.run,
        });
      }
      for (const warning of step.warnings) {
        rows.push({
          text: `WARN: ${warning}`,
          amount: '',
          ms: activeTime(step, now),
          over: true,
          color: palette.warning,
        });
      }
    }
    return rows;
  }

  /** The running steps whose output is shown: those with most of it, while there is room. */
  #withOutput(rows: readonly Row[], height: number): Set<StepView> {
    const running = rows.filter(({ over }) => !over);
    const steps = running.flatMap(({ step }) => (step !== undefined && step.recent.length > 0 ? [step] : []));
    const need = this.#logHeight(height) + 3;
    let free = height - 2 - running.length;
    const chosen = new Set<StepView>();
    for (const step of steps.sort((a, b) => b.logBytes - a.logBytes)) {
      if (free <= need) break;
      chosen.add(step);
      free -= need;
    }
    return chosen;
  }

  /** Lines of output for each step that shows some: all that were asked for on a tall terminal, a few on a low one. */
  #logHeight(height: number): number {
    const { logLines } = this.#options;
    return Math.max(Math.min(logLines, 6), Math.min(logLines, height - 7));
  }

  #output(step: StepView): string[] {
    return step.recent.slice(-this.#logHeight(this.#writer.size.rows));
  }
}

interface Line {
  readonly text: string;
  readonly width: number;
}

function plainLine(text: string): Line {
  return { text, width: widthOf(text) };
}

function prefixOf({ state }: StepView): string {
  if (state === 'failed') return 'ERROR ';
  if (state === 'canceled') return 'CANCELED ';
  return state === 'cached' ? 'CACHED ' : '';
}

/** A row with its time at the right; nothing on a terminal too narrow for it. */
function formatRow({ text, amount, ms, over, color }: Row, columns: number): Line | undefined {
  const timer = seconds(ms < 50 ? 0 : ms);
  let room = columns - ' => '.length - timer.length - 3;
  let suffix = '';
  if (amount !== '' && room > 20) {
    suffix = ` ${amount}`;
    room -= suffix.length;
  }
  if (room < 12) return undefined;
  const left = ` => ${cut(text, room)}${suffix}`;
  const line = left + ' '.repeat(Math.max(1, columns - 1 - widthOf(left) - timer.length)) + timer;
  return { text: over ? paint(line, color) : line, width: widthOf(line) };
}

/** The last rows that fit; running ones that would be cut off take the place of rows that are over. */
function fit(rows: readonly Row[], limit: number): Row[] {
  if (rows.length <= limit) return [...rows];
  if (limit <= 0) return [];
  const hidden = rows.slice(0, -limit).filter(({ over }) => !over);
  const shown: Row[] = [];
  let left = hidden.length;
  for (const row of rows.slice(-limit)) {
    if (row.over && left > 0) left--;
    else shown.push(row);
  }
  return [...hidden.slice(hidden.length - (limit - shown.length)), ...shown];
}
