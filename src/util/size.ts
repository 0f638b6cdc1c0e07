import { TsbuildError } from './errors.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units with two decimals, as BuildKit's progress prints bytes: `227B`, `12.58MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${Math.round(value)}B` : `${value.toFixed(2)}${UNITS[unit] ?? ''}`;
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * Parses `128m`, `1.5GB`, `512` into bytes, with binary units as docker's flags have them.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?)?b?$/i.exec(text.trim());
  const factor = match ? FACTORS[(match[2] ?? '').toLowerCase()] : undefined;
  const bytes = Math.floor(Number(match?.[1]) * (factor ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  const why = Number.isNaN(bytes) ? 'expected a number and a unit, for example 512m' : 'it is too large';
  throw new TsbuildError('TSB_USAGE', `Cannot use size ${JSON.stringify(text)}: ${why}`);
}

/** Milliseconds as {@link parseDuration} reads them: `90s` is `1m30s`. */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.join('') || '0s';
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/**
 * Parses a duration such as `90s`, `1h30m`, `7d` into milliseconds.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseDuration(text: string): number {
  const whole = text.trim();
  let total = 0;
  let matched = 0;
  // One behind the other: looked for anywhere, many digits without a unit would take time with their square.
  for (const match of whole.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/gy)) {
    matched += match[0].length;
    total += Number(match[1]) * (SECONDS[match[2] ?? ''] ?? 0) * 1000;
  }
  if (whole === '' || matched !== whole.length || !Number.isSafeInteger(Math.round(total))) {
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use duration ${JSON.stringify(text)}: expected for example 90s, 24h or 7d`,
    );
  }
  return Math.round(total);
}
