import { type Measure, median } from './measure.ts';
import type { Row } from './row.ts';

/** Whoever takes turns with tsbuild, in the order of the columns. */
export const OTHERS = ['against', 'beside', 'buildah', 'buildkit', 'skopeo'] as const;

/** One row's measures by who made them, each in the order of the rounds. */
export type Results = Readonly<Record<'tsbuild' | (typeof OTHERS)[number], readonly Measure[]>>;

interface Line {
  readonly row: Row;
  readonly results: Results;
  readonly met: boolean;
}

/** A line for each row; of the other builders only those that measured something have a column, with how we compare. */
export function formatTable(lines: readonly Line[]): string {
  const others = OTHERS.filter((who) => lines.some(({ results }) => results[who].length > 0));
  const head = ['work', 'tsbuild ms', ...others.flatMap((who) => [`${who} ms`, 'ratio']), 'peak MB', 'goal', ''];
  const table = lines.map(({ row, results, met }) => {
    const own = median(results.tsbuild);
    const compared = others.flatMap((who) => {
      if (results[who].length === 0) return ['-', '-'];
      const { wall } = median(results[who]);
      return [wall.toFixed(0), (own.wall / wall).toFixed(3)];
    });
    const peak = own.peak > 0 ? (own.peak / 1000).toFixed(0) : '-';
    return [row.name, own.wall.toFixed(0), ...compared, peak, row.goal, met ? 'met' : 'MISSED'];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...table].map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [head, ...table].map(line).join('\n');
}
