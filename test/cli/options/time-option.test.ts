import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseTime } from '../../../src/cli/options/time-option.ts';

// What docker takes for --since and --until: moby's api/types/time GetTimestamp.
const NOW = Date.UTC(2026, 0, 31, 12);
const time = (text: string): string => parseTime('--since', text, NOW);

/** Runs as on a machine in this time zone. */
function useZone(zone: string): void {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['TZ'];
    process.env['TZ'] = zone;
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  });
}

describe('a date with a zone', () => {
  useZone('Asia/Kolkata');
  test.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000000000Z'],
    ['2026-01-31t12:00:00z', '2026-01-31T12:00:00.000000000Z'],
    ['2026-01-31T14:00:00.5+02:00', '2026-01-31T12:00:00.500000000Z'],
    ['2026-01-31T10:00:00-02:30', '2026-01-31T12:30:00.000000000Z'],
    // Lines of one program are microseconds apart, which a Date cannot tell.
    ['2026-01-31T12:00:00.123456789Z', '2026-01-31T12:00:00.123456789Z'],
    ['2026-01-31T12:00:00.0000000019Z', '2026-01-31T12:00:00.000000001Z'],
    ['2026-01-31T12:00Z', '2026-01-31T12:00:00.000000000Z'],
    ['2026-01-31T12Z', '2026-01-31T12:00:00.000000000Z'],
    ['2026-01-31Z', '2026-01-31T00:00:00.000000000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000000000Z'],
  ])('%s is the same everywhere', (text, utc) => {
    expect(time(text)).toBe(utc);
  });
});

describe('a date without a zone is one of the machine, whatever it says of the time', () => {
  useZone('Asia/Kolkata');
  test.each([
    ['2026-01-31', '2026-01-30T18:30:00.000000000Z'],
    ['2026-01-31T10', '2026-01-31T04:30:00.000000000Z'],
    ['2026-01-31T10:15', '2026-01-31T04:45:00.000000000Z'],
    ['2026-01-31T10:15:20', '2026-01-31T04:45:20.000000000Z'],
    ['2026-01-31 10:15:20.25', '2026-01-31T04:45:20.250000000Z'],
  ])('%s', (text, utc) => {
    expect(time(text)).toBe(utc);
  });
});

describe('seconds since the epoch', () => {
  test.each([
    ['1769860800', '2026-01-31T12:00:00.000000000Z'],
    ['1769860800.25', '2026-01-31T12:00:00.250000000Z'],
    ['1769860800.000000001', '2026-01-31T12:00:00.000000001Z'],
    // "From the beginning", as scripts say it.
    ['0', '1970-01-01T00:00:00.000000000Z'],
    ['1', '1970-01-01T00:00:01.000000000Z'],
    ['17698608', '1970-07-24T20:16:48.000000000Z'],
  ])('%s', (text, utc) => {
    expect(time(text)).toBe(utc);
  });
});

describe('how long ago', () => {
  test.each([
    ['10m', '2026-01-31T11:50:00.000000000Z'],
    ['1h30m', '2026-01-31T10:30:00.000000000Z'],
    ['0s', '2026-01-31T12:00:00.000000000Z'],
    ['1.5h', '2026-01-31T10:30:00.000000000Z'],
    ['2d', '2026-01-29T12:00:00.000000000Z'],
  ])('%s', (text, utc) => {
    expect(time(text)).toBe(utc);
  });
});

describe('what is no time', () => {
  test.each([
    '',
    ' ',
    'yesterday',
    '2026-13-01',
    '2026-00-10',
    '2026-01-32',
    // Days that a calendar does not have are a mistake, and not days of the next month.
    '2026-02-29',
    '2026-02-30',
    '2026-04-31T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:60Z',
    '2026-01-31T12:00:00+99:00',
    '2026-01-31 (noon)',
    '2026-01-31T12:00:00Zulu',
    '2026-1-31',
    '1769860800.',
    '1769860800.x',
    '-5m',
    '999999999999h',
    '１７６９８６０８００',
  ])('%j', (text) => {
    expect(() => parseTime('--until', text, NOW)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot use --until ${JSON.stringify(text)}`,
        hint: 'for example 2026-01-31T12:00:00Z, 1769860800 or 10m',
      }),
    );
  });

  test('whatever is typed, what is taken is in the form of logs, so that it compares with their lines', () => {
    const digits = fc.stringMatching(/^[0-9:.TZ+-]{0,30}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), digits), (text) => {
        let made: string;
        try {
          made = time(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE' });
          return;
        }
        expect(made).toMatch(/^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      }),
      { numRuns: 2000 },
    );
  });

  test('every moment is understood as it is written in logs', () => {
    const moment = fc.tuple(
      fc.date({ min: new Date('1970-01-01'), max: new Date('5000-01-01'), noInvalidDate: true }),
      fc.nat(999_999_999),
    );
    fc.assert(
      fc.property(moment, ([date, nano]) => {
        const text = `${date.toISOString().slice(0, 19)}.${String(nano).padStart(9, '0')}Z`;
        expect(time(text)).toBe(text);
        const seconds = Math.floor(date.getTime() / 1000);
        expect(time(`${seconds}.${String(nano).padStart(9, '0')}`)).toBe(text);
      }),
    );
  });
});
