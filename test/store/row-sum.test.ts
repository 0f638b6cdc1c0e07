import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rowSum } from '../../src/store/row-sum.ts';

/** Short ones are summed by characters, long ones by words. */
const lengths = [1, 40, 4095, 4096, 4097, 4098, 4099, 20_000];

describe('the sum of a row', () => {
  test('is not that of a row in which one character differs', () => {
    fc.assert(
      fc.property(fc.constantFrom(...lengths), fc.nat(), fc.integer({ min: 1, max: 127 }), (length, place, flip) => {
        const text = 'abcdefg'.repeat(length).slice(0, length);
        const at = place % length;
        const other = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ flip) + text.slice(at + 1);
        expect(rowSum('t', other)).not.toBe(rowSum('t', text));
      }),
    );
  });

  test('notices that the highest bits of two places changed', () => {
    const text = 'x'.repeat(8192);
    const other = `${'\u00f8'.repeat(2)}${text.slice(4)}`;
    expect(rowSum('t', other)).not.toBe(rowSum('t', text));
    const words = Array.from({ length: 64 }, (_, at) => `${text.slice(0, at * 4)}xxxX${text.slice(at * 4 + 4)}`);
    expect(new Set(words.map((word) => rowSum('t', word))).size).toBe(words.length);
  });

  test('tells fields, tables, and what is absent from what is empty', () => {
    const long = 'y'.repeat(5000);
    const sums = [
      rowSum('a', long, 'b'), rowSum('a', long + 'b'), rowSum('b', long, 'b'), rowSum('a', long, 'b', ''), rowSum('a', long, 'b', null),
      rowSum('a', 1), rowSum('a', '1'),
    ]; // oxfmt-ignore
    expect(new Set(sums).size).toBe(sums.length);
  });
});
