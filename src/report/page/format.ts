/** Milliseconds as people say them: `340 ms`, `4.21 s`, `2 m 05 s`, `1 h 02 m`. */
export function duration(ms: number): string {
  // Where a number would be rounded up to the next unit, that is it.
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours} h ${two(minutes)} m`;
  return `${minutes} m ${two(seconds % 60)} s`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Bytes in decimal units, with as many digits as one can tell apart: `812 B`, `1.10 MB`, `84.2 MB`. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = -1;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit] ?? ''}`;
}

/** A part of a whole, from 0 to 1. */
export function percent(part: number): string {
  const value = part * 100;
  if (value > 0 && value < 0.05) return '<0.1 %';
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

/** Seconds into the build, as a log has them. */
export function offset(ms: number): string {
  return (ms / 1000).toFixed(2);
}

/** A count with its word. @param many where the word is not only one with an s */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** A distance between marks on an axis that is easy to read, for about so many marks. @param ms of the whole axis */
export function tickStep(ms: number, count: number): number {
  const wanted = Math.max(1, ms / Math.max(1, count));
  const power = 10 ** Math.floor(Math.log10(wanted));
  const minutes = [15, 30, 60, 120, 300, 600, 900, 1800, 3600].map((seconds) => seconds * 1000);
  if (wanted > 10_000) return minutes.find((step) => step >= wanted) ?? Math.ceil(wanted / 3_600_000) * 3_600_000;
  return ([1, 2, 5, 10].find((factor) => factor * power >= wanted) ?? 10) * power;
}
