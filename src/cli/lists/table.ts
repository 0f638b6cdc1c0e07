import { sanitizeLine } from '../../util/index.ts';

/** The last column is never made narrower than this. */
const LEAST_WIDTH = 20;

/**
 * Columns aligned with two spaces between them, as docker prints lists.
 * @param width of the terminal, for which the last column is cut; elsewhere nothing is, for a program or a file reads it
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], width?: number): string {
  const lines = [header, ...rows.map((row) => row.map((cell) => sanitizeLine(cell, Infinity)))];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const taken = widths.slice(0, -1).reduce((sum, one) => sum + one + 2, 0);
  const room = width === undefined ? Infinity : Math.max(LEAST_WIDTH, width - taken);
  const last = header.length - 1;
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => (column === last ? fit(cell, room) : cell.padEnd(widths[column] ?? 0)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function fit(cell: string, room: number): string {
  return cell.length <= room ? cell : `${cell.slice(0, room - 1)}\u2026`;
}

/** "3 hours ago" and the like. Milliseconds. */
export function formatAge(ms: number): string {
  const steps: readonly (readonly [number, string])[] = [
    [86_400_000 * 365, 'year'],
    [86_400_000 * 30, 'month'],
    [86_400_000 * 7, 'week'],
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1000, 'second'],
  ];
  for (const [unit, name] of steps) {
    const count = Math.floor(ms / unit);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}
