import type { ReportStep } from '../facts.ts';

/** What the drawing needs of a step. */
export type Linked = Pick<ReportStep, 'inputs'> & { readonly stage?: string; readonly number?: string };

/** Where a step stands in the drawing of the graph: a row for each step, and a column for each line of steps that goes on. */
export interface Place {
  readonly step: number;
  readonly column: number;
}

/** From a step to one that stands on it. */
export interface Edge {
  readonly from: Place & { readonly row: number };
  readonly to: Place & { readonly row: number };
}

/** The graph as git draws its own: places from the first step to the last, and the lines between them. */
export interface GraphDrawing {
  readonly places: readonly Place[];
  readonly edges: readonly Edge[];
  readonly columns: number;
}

/**
 * Lays out the steps, inputs above what stands on them. The line of a step goes down in its own column as far as the last step that stands on
 * it, and belongs to nobody else until there; that last one takes the column over, so that a stage is one straight line.
 * @param shown places of the steps to be drawn
 */
export function drawGraph(steps: readonly Linked[], shown: readonly number[]): GraphDrawing {
  const order = sorted(steps, shown);
  const rows = new Map(order.map((step, row) => [step, row]));
  const waiting = new Map<number, number>();
  for (const step of order)
    for (const input of inputsOf(steps, step, rows)) waiting.set(input, (waiting.get(input) ?? 0) + 1);
  /** Columns that a line goes down in. */
  const taken: boolean[] = [];
  const column = new Map<number, number>();
  for (const step of order) {
    const over: number[] = [];
    for (const input of inputsOf(steps, step, rows)) {
      const left = (waiting.get(input) ?? 0) - 1;
      waiting.set(input, left);
      if (left === 0) over.push(input);
    }
    for (const input of over) taken[column.get(input) ?? 0] = false;
    const same = over.find((input) => steps[input]?.stage === steps[step]?.stage && steps[input]?.number !== undefined);
    const free = taken.indexOf(false);
    const at = (same === undefined ? undefined : column.get(same)) ?? (free < 0 ? taken.length : free);
    column.set(step, at);
    taken[at] = (waiting.get(step) ?? 0) > 0;
  }
  const place = (step: number): Place & { row: number } => ({
    step,
    column: column.get(step) ?? 0,
    row: rows.get(step) ?? 0,
  });
  return {
    places: order.map((step) => ({ step, column: column.get(step) ?? 0 })),
    edges: order.flatMap((step) =>
      inputsOf(steps, step, rows).map((input) => ({ from: place(input), to: place(step) })),
    ),
    columns: Math.max(1, taken.length),
  };
}

function inputsOf(steps: readonly Linked[], step: number, rows: ReadonlyMap<number, number>): readonly number[] {
  return (steps[step]?.inputs ?? []).filter((input) => rows.has(input) && input !== step);
}

/** Inputs first; else in the order of the list, so that a stage stays together where it can. */
function sorted(steps: readonly Linked[], shown: readonly number[]): readonly number[] {
  const wanted = new Set(shown);
  const done = new Set<number>();
  const order: number[] = [];
  for (const top of shown) {
    // Deep graphs must not exhaust the stack.
    const open: { step: number; next: number }[] = [{ step: top, next: 0 }];
    const entered = new Set<number>();
    for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
      const input = steps[at.step]?.inputs[at.next++];
      if (done.has(at.step)) open.pop();
      else if (input === undefined) {
        done.add(at.step);
        order.push(at.step);
        open.pop();
      } else if (wanted.has(input) && !done.has(input) && !entered.has(input)) {
        entered.add(input);
        open.push({ step: input, next: 0 });
      }
    }
  }
  return order;
}
