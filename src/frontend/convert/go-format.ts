import { goQuote } from '../dockerfile/text.ts';

/** Go's `%v` of a list of strings. */
export function goList(items: readonly string[]): string {
  return `[${items.join(' ')}]`;
}

/** Go's `%q` of a list of strings. */
export function goQuotedList(items: readonly string[]): string {
  return `[${items.map(goQuote).join(' ')}]`;
}

/** A duration in nanoseconds as Go prints it: `1m30s`, `1.5s`, `10ms`, `0s`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  const sign = nanoseconds < 0 ? '-' : '';
  const total = Math.abs(nanoseconds);
  if (total < 1e3) return `${sign}${total}ns`;
  if (total < 1e6) return `${sign}${decimal(total, 3)}µs`;
  if (total < 1e9) return `${sign}${decimal(total, 6)}ms`;
  const minutes = Math.floor(total / 60e9);
  const seconds = `${decimal(total - minutes * 60e9, 9)}s`;
  if (minutes === 0) return sign + seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${sign}${minutes}m${seconds}` : `${sign}${hours}h${minutes % 60}m${seconds}`;
}

/** `value / 10^digits` without trailing zeros. */
function decimal(value: number, digits: number): string {
  const scale = 10 ** digits;
  const fraction = String(value % scale)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return `${Math.floor(value / scale)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** A time in seconds since the epoch as Go's JSON has it. */
export function goTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z');
}
