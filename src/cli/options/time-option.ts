import { parseDuration, TsbuildError } from '../../util/index.ts';

/**
 * A time of `--since`, `--until` and filters: a date, seconds since the epoch, or how long ago. In the form of logs: RFC 3339 in UTC with
 * nine digits of a second.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseTime(flag: string, text: string, now: number): string {
  const seconds = /^(\d{9,11})(?:\.(\d{1,9}))?$/.exec(text);
  // Digits behind those of a Date are kept: lines of one program are microseconds apart.
  if (seconds !== null)
    return new Date(Number(seconds[1]) * 1000).toISOString().replace('.000Z', `.${(seconds[2] ?? '').padEnd(9, '0')}Z`);
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const time = Date.parse(text);
    const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? '';
    if (Number.isFinite(time)) return new Date(time).toISOString().replace(/\.\d{3}Z$/, `.${fraction.padEnd(9, '0')}Z`);
  }
  try {
    return new Date(now - parseDuration(text)).toISOString().replace('Z', '000000Z');
  } catch {
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}`, {
      hint: 'for example 2026-01-31T12:00:00Z, 1769860800 or 10m',
    });
  }
}
