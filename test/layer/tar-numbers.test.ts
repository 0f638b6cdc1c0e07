import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDecimal, parseNumber, parsePaxTime } from '../../src/layer/tar-numbers.ts';
import { base256, octal } from './support/tar-vectors.ts';

/** The number in a field of a block, with other fields around it. */
function read(field: Buffer | string): number | undefined {
  const bytes = typeof field === 'string' ? Buffer.from(field, 'latin1') : field;
  const block = Buffer.concat([Buffer.from('777'), bytes, Buffer.from('777')]);
  return parseNumber(block, 3, bytes.length);
}

describe('a numeric field of a header (POSIX.1-2018, pax, "ustar Interchange Format")', () => {
  test.each<[string, number]>([
    ['0000644\0', 0o644],
    ['0000644 ', 0o644],
    ['000644 \0', 0o644],
    // Written by v7's tar and by BSD's: blanks before, a blank and a NUL behind.
    ['   644 \0', 0o644],
    ['    644\0', 0o644],
    ['0\0\0\0\0\0\0\0', 0],
    ['\0\0\0\0\0\0\0\0', 0],
    ['        ', 0],
    // All digits used, no end: GNU tar and Go read it.
    ['77777777', 0o77777777],
    ['777777777777', 0o777777777777],
  ])('%j is %i', (field, value) => expect(read(field)).toBe(value));

  test.each(['0000648\0', '-000644\0', '+000644\0', '0x1ff\0\0\0', '00 0644\0', '1e3\0\0\0\0\0', '0000644\n'])(
    '%j is no number',
    (field) => expect(read(field)).toBeUndefined(),
  );

  // "terminated by one or more <space> or NUL characters": Go's archive/tar (parseString in parseOctal) and GNU tar
  // (from_header) read no further.
  test.each<[string, number]>([
    ['644\0junk', 0o644],
    ['0000\u0000123', 0],
    ['12345670\u00009\u00009', 0o12345670],
  ])('%j ends at its NUL, whatever stands behind', (field, value) => expect(read(field)).toBe(value));

  test('octal digits come back (property)', () => {
    fc.assert(
      fc.property(fc.nat(0o77777777777), (value) => {
        expect(read(octal(value, 11))).toBe(value);
      }),
    );
  });

  test('base-256 comes back, of either sign and in either width (property)', () => {
    const safe = fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n });
    fc.assert(
      fc.property(safe, (value) => {
        expect(read(base256(value, 12))).toBe(Number(value));
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (value) => {
        expect(read(base256(BigInt(value), 8))).toBe(value);
      }),
    );
  });

  test('base-256 beyond 2^53 is refused rather than rounded (property)', () => {
    const beyond = fc.oneof(
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 94n }),
      fc.bigInt({ min: -(2n ** 94n), max: -(2n ** 53n) }),
    );
    fc.assert(
      fc.property(beyond, (value) => {
        expect(read(base256(value, 12))).toBeUndefined();
      }),
    );
  });

  test('no field gives anything but a whole number or nothing (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 12 }), (bytes) => {
        const value = read(Buffer.from(bytes));
        expect(value === undefined || Number.isSafeInteger(value)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a decimal of a PAX record', () => {
  test.each<[string, number | undefined]>([
    ['0', 0],
    ['007', 7],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740992', undefined],
    ['', undefined],
    ['-1', undefined],
    ['+1', undefined],
    ['1.0', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['1\n', undefined],
    ['١', undefined],
  ])('%j is %s', (text, value) => expect(parseDecimal(text)).toBe(value));
});

describe('a time of a PAX record (POSIX.1-2018, pax, "pax Extended Header File Times")', () => {
  // The table of Go's archive/tar, TestParsePAXTime.
  test.each<[string, number, number]>([
    ['1350244992.023960108', 1_350_244_992, 23_960_108],
    ['1350244992.02396010', 1_350_244_992, 23_960_100],
    ['1350244992.0239601089', 1_350_244_992, 23_960_108],
    ['1350244992.3', 1_350_244_992, 300_000_000],
    ['1350244992', 1_350_244_992, 0],
    ['-1.000000001', -2, 999_999_999],
    ['-1.000001', -2, 999_999_000],
    ['-1.001000', -2, 999_000_000],
    ['-1', -1, 0],
    ['-1.999000', -2, 1_000_000],
    ['-1.999999', -2, 1000],
    ['-1.999999999', -2, 1],
    ['0.000000001', 0, 1],
    ['0.000001', 0, 1000],
    ['0', 0, 0],
    ['-0.000000001', -1, 999_999_999],
    ['-0.000000000', 0, 0],
    ['-1350244992.023960108', -1_350_244_993, 976_039_892],
    ['1.', 1, 0],
  ])('%s', (text, sec, nsec) => expect(parsePaxTime(text)).toEqual({ sec, nsec }));

  test.each(['', '-', '.', '.5', '-.5', '1.2.3', '1.x', '1e3', '--1', '1-', ' 1', '1 ', '123456789123456789', '1.-1'])(
    '%j is none',
    (text) => expect(parsePaxTime(text)).toBeUndefined(),
  );

  test('is the time that was meant, to the nanosecond (property)', () => {
    const seconds = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
    fc.assert(
      fc.property(seconds, fc.nat(999_999_999), (sec, nsec) => {
        // sec + nsec / 1e9 as one decimal, which has its sign before both parts.
        const total = BigInt(sec) * 1_000_000_000n + BigInt(nsec);
        const size = total < 0n ? -total : total;
        const text = `${total < 0n ? '-' : ''}${size / 1_000_000_000n}.${String(size % 1_000_000_000n).padStart(9, '0')}`;
        expect(parsePaxTime(text)).toEqual({ sec, nsec });
      }),
    );
  });
});
