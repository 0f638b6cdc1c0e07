import { describe, expect, test } from 'vitest';
import { parseBytes, parseGoDuration } from '../../src/frontend/dockerfile/instructions/values.ts';
import { isTsbuildError, parseDuration, parseSize } from '../../src/util/index.ts';

/** A megabyte: what took time with the square of its length would take hours. */
const DIGITS = '9'.repeat(1 << 20);

/** Whether an amount is refused as the user's mistake. */
function isRefused(parse: () => unknown): boolean {
  try {
    return parse() === undefined;
  } catch (error) {
    return isTsbuildError(error);
  }
}

// Comments and mounts of Dockerfiles have amounts, and Dockerfiles come from anybody.
describe('an amount of a million digits is refused at once', { timeout: 10_000 }, () => {
  test.each([DIGITS, `${DIGITS}.${DIGITS}`, `${DIGITS}x`, `1.${DIGITS}x`, `.${DIGITS}.`])('digits %#', (text) => {
    for (const parse of [parseDuration, parseSize, parseBytes, parseGoDuration])
      expect(isRefused(() => parse(text))).toBe(true);
  });
});

test.each(['5i', '5ib', '5bb', '5bib', '5kbb', '5ki5', '.5k', '5.k', '5 k m'])('%j is no size', (text) => {
  expect(isRefused(() => parseSize(text))).toBe(true);
});

test.each([
  ['5', 5],
  ['5b', 5],
  ['5k', 5120],
  ['5kb', 5120],
  ['5ki', 5120],
  ['5KiB', 5120],
  ['1.5 G', 1.5 * 2 ** 30],
])('%j is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

// docker/go-units RAMInBytes, which BuildKit reads the size of a tmpfs with.
test.each<[string, number | undefined]>([
  ['5', 5],
  ['5.', 5],
  ['.5k', 512],
  ['1e3', 1000],
  ['1E1k', 10_240],
  ['1.5 GiB', 1.5 * 2 ** 30],
  ['1p', 2 ** 50],
  ['', undefined],
  ['.', undefined],
  ['e3', undefined],
  ['1e', undefined],
  ['1..5', undefined],
  ['-1', undefined],
  ['5  k', undefined],
  ['5e', undefined],
])('the size %j of a mount is %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));
