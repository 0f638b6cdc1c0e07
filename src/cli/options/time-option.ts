import { parseDuration, TsbuildError } from '../../util/index.ts';

/** A date, with as much of a time and a zone as somebody says. */
const DATE =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ]([01]\d|2[0-3])(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?)?(?:([Zz])|([+-])(\d\d):(\d\d))?$/;

/**
 * A time of `--since`, `--until` and filters: a date, seconds since the epoch, or how long ago. In the form of logs: RFC 3339 in UTC with
 * nine digits of a second. As docker has it, a date without a zone is one of this machine's, and digits alone are seconds.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseTime(flag: string, text: string, now: number): string {
  const seconds = /^(\d{1,11})(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds !== null) return withFraction(Number(seconds[1]) * 1000, seconds[2]);
  const date = DATE.exec(text);
  const time = date === null ? undefined : timeOf(date);
  if (time !== undefined) return withFraction(time, date?.[7]);
  try {
    return new Date(now - parseDuration(text)).toISOString().replace('Z', '000000Z');
  } catch {
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}`, {
      hint: 'for example 2026-01-31T12:00:00Z, 1769860800 or 10m',
    });
  }
}

/** Digits behind those of a Date are kept: lines of one program are microseconds apart. @param ms a whole second */
function withFraction(ms: number, digits = ''): string {
  return new Date(ms).toISOString().replace('.000Z', `.${digits.padEnd(9, '0')}Z`);
}

/** The whole second of a date, in ms since the epoch; undefined for one that no calendar has. */
function timeOf(date: RegExpExecArray): number | undefined {
  const [, year, month, day, hour = '00', minute = '00', second = '00', , zulu, sign, zoneHours, zoneMinutes] = date;
  // Other days than those of the month are counted on from its last one.
  if (
    new Date(`${year}-${month}-01T00:00:00Z`).getUTCMonth() !==
    new Date(`${year}-${month}-${day}T00:00:00Z`).getUTCMonth()
  )
    return undefined;
  const zone = zulu === undefined ? (sign === undefined ? '' : `${sign}${zoneHours}:${zoneMinutes}`) : 'Z';
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(time) ? undefined : time;
}
