import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytes, duration, offset, percent, plural, tickStep } from '../../src/report/page/format.ts';

/** What a text says, in ms. */
function msOf(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return [...text.matchAll(/([\d.]+) ([a-z]+)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? Number.NaN),
    0,
  );
}

/** The smallest step that a text can tell: a unit of its last digit, in ms. */
function resolution(text: string): number {
  if (text.endsWith(' ms')) return 1;
  if (text.includes(' h ')) return 60_000;
  if (text.includes(' m ')) return 1000;
  return text.includes('.') && (text.split('.')[1] ?? '').startsWith('0') ? 10 : 100;
}

describe('durations of the page', () => {
  const some = fc.oneof(fc.double({ min: 0, max: 120_000, noNaN: true }), fc.integer({ min: 0, max: 1e8 }));

  test('never say a unit full that has a larger one', () => {
    for (const [ms, text] of [
      [999.4, '999 ms'],
      [999.6, '1.00 s'],
      [9994, '9.99 s'],
      [9996, '10.0 s'],
      [59_949, '59.9 s'],
      [59_950, '1 m 00 s'],
      [59_999, '1 m 00 s'],
      [3_599_499, '59 m 59 s'],
      [3_599_500, '1 h 00 m'],
      [86_400_000, '24 h 00 m'],
    ] as const)
      expect(duration(ms), `${ms}`).toBe(text);
    fc.assert(
      fc.property(some, (ms) => {
        expect(duration(ms)).not.toMatch(/^1\d{3} ms|^60\.0 s|^60 m| 60 [sm]$/);
      }),
    );
  });

  test('are what was measured, as near as the digits tell, and longer ones never look shorter', () => {
    fc.assert(
      fc.property(some, some, (one, other) => {
        const [short, long] = one < other ? [one, other] : [other, one];
        expect(msOf(duration(short))).toBeLessThanOrEqual(msOf(duration(long)));
        const text = duration(one);
        expect(Math.abs(msOf(text) - one), text).toBeLessThanOrEqual(resolution(text));
      }),
    );
  });
});

describe('sizes and parts of the page', () => {
  const factors: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

  test('have three digits, and are within half of the last one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 999_000_000_000_000 }), (count) => {
        const text = bytes(count);
        const [, digits = '', unit = ''] = /^([\d.]+) (\w+)$/.exec(text) ?? [];
        expect(digits.replace('.', '')).toHaveLength(3);
        expect(Math.abs(Number(digits) * (factors[unit] ?? 0) - count) / count, text).toBeLessThanOrEqual(0.005_01);
      }),
    );
    expect([0, 1, 999].map(bytes)).toEqual(['0 B', '1 B', '999 B']);
    expect(bytes(1.5e16)).toBe('15000 TB');
  });

  test('of something is not nothing, and of two digits no third', () => {
    expect([0.000_01, 0.0004, 0.0994, 0.0996, 0.1, 0.994, 0.996].map(percent)).toEqual([
      '<0.1 %',
      '<0.1 %',
      '9.9 %',
      '10 %',
      '10 %',
      '99 %',
      '100 %',
    ]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (part) => {
        expect(percent(part)).toMatch(/^(0|<0\.1|\d\.\d|[1-9]\d|100) %$/);
      }),
    );
  });

  test('count in the singular and the plural', () => {
    expect([0, 1, 2, 1234].map((count) => plural(count, 'file'))).toEqual([
      '0 files',
      '1 file',
      '2 files',
      '1,234 files',
    ]);
    expect(plural(2, 'copy', 'copies')).toBe('2 copies');
    expect(offset(12_345)).toBe('12.35');
  });
});

test('marks of an axis are 1, 2 or 5 of a power of ten, or what clocks have', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2e8 }), fc.integer({ min: 1, max: 20 }), (ms, count) => {
      const step = tickStep(ms, count);
      const isDecimal = /^[125]0*$/.test(String(step));
      expect(isDecimal || [15, 30, 60, 120, 300, 600, 900, 1800].includes(step / 1000) || step % 3_600_000 === 0).toBe(
        true,
      );
      // Not so few that one could not read the axis.
      expect(ms / step).toBeGreaterThan(Math.min(count, ms) / 5);
    }),
  );
});
