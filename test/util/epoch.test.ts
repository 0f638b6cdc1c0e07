import { expect, test } from 'vitest';
import { parseEpoch } from '../../src/util/index.ts';

test('a time is whole seconds since 1970; none and an empty one are none', () => {
  expect(parseEpoch('0')).toBe(0);
  expect(parseEpoch('1700000000')).toBe(1_700_000_000);
  expect(parseEpoch(undefined)).toBeUndefined();
  expect(parseEpoch('')).toBeUndefined();
});

test.each(['-1', '1.5', '0x10', '1e3', ' 1', '123456789012', 'context'])('%j is told', (text) => {
  expect(() => parseEpoch(text)).toThrow(`invalid SOURCE_DATE_EPOCH: ${text}`);
});
