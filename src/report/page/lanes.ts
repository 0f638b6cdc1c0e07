import type { ReportFacts, ReportStep, Span } from '../facts.ts';

/** A bar of the timeline. */
export interface Bar {
  readonly step: number;
  readonly span: Span;
  /** The place in `transfers`, for one. */
  readonly transfer?: number;
}

/** Bars that belong together, in as many rows as run at a time. */
export interface LaneGroup {
  readonly name: string;
  readonly kind: 'work' | 'apart' | 'transfers';
  readonly rows: readonly (readonly Bar[])[];
}

/**
 * What was at work when: a group for each stage in the order in which they began, between what comes before and after, and one for each
 * direction of transfers.
 */
export function laneGroups({ steps, transfers }: Pick<ReportFacts, 'steps' | 'transfers'>): readonly LaneGroup[] {
  const groups = new Map<string, Bar[]>();
  const add = (name: string, bar: Bar): void => {
    const bars = groups.get(name);
    if (bars === undefined) groups.set(name, [bar]);
    else bars.push(bar);
  };
  const began = steps
    .flatMap((step, index) => step.spans.map((span) => ({ name: groupOf(step), step: index, span })))
    .sort((a, b) => a.span[0] - b.span[0]);
  for (const { name, ...bar } of began) add(name, bar);
  const order = (name: string): number => (name === 'preparing' ? 0 : name === 'output' ? 2 : 1);
  const names = [...groups.keys()].sort((a, b) => order(a) - order(b));
  const result = names.map((name): LaneGroup => {
    const kind = order(name) === 1 ? 'work' : 'apart';
    return { name, kind, rows: rowsOf(groups.get(name) ?? []) };
  });
  for (const [name, direction] of [
    ['download', 'down'],
    ['upload', 'up'],
  ] as const) {
    const bars = transfers.flatMap((one, transfer): Bar[] =>
      one.direction === direction ? [{ step: one.step, span: one.span, transfer }] : [],
    );
    if (bars.length > 0) result.push({ name, kind: 'transfers', rows: rowsOf(bars) });
  }
  return result;
}

/** The stage of a step, with the platform where there are several. */
export function groupOf({ kind, stage, number, platform }: ReportStep): string {
  if (kind === 'output') return 'output';
  if (kind === 'internal' || (kind === 'source' && number === undefined)) return 'preparing';
  return [platform, stage ?? (platform === undefined ? 'steps' : undefined)].filter(Boolean).join(' ');
}

/** Bars in as few rows as there are at work at a time: each goes into the first row that is free. */
export function rowsOf(bars: readonly Bar[]): readonly (readonly Bar[])[] {
  const rows: Bar[][] = [];
  for (const bar of bars.toSorted((a, b) => a.span[0] - b.span[0] || a.span[1] - b.span[1])) {
    const row = rows.find((one) => (one.at(-1)?.span[1] ?? 0) <= bar.span[0]);
    if (row === undefined) rows.push([bar]);
    else row.push(bar);
  }
  return rows;
}
