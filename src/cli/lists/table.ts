import { sanitizeLine } from '../../util/index.ts';

/** The last column is never made narrower than this. */
const LEAST_WIDTH = 20;

/**
 * Columns aligned with two spaces between them, as docker prints lists.
 * @param width of the terminal, for which the last column is cut; elsewhere nothing is, for a program or a file reads it
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], width?: number): string {
  const lines = [header, ...rows.map((row) => row.map((cell) => sanitizeLine(cell, Infinity)))];
  const widths = header.map((_, column) => lines.reduce((most, line) => Math.max(most, line[column]?.length ?? 0), 0));
  const taken = widths.slice(0, -1).reduce((sum, one) => sum + one + 2, 0);
  const room = width === undefined ? Infinity : Math.max(LEAST_WIDTH, width - taken);
  const last = header.length - 1;
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => (column === last ? shorten(cell, room) : cell.padEnd(widths[column] ?? 0)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** A text of at most so many characters, none of which is cut in two. @param room units of UTF-16 */
export function shorten(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1).replace(/[\ud800-\udbff]$/, '')}\u2026`;
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
