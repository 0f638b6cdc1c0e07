import { describe, expect, test } from 'vitest';
import { parsePruneFilters } from '../../../src/cli/options/prune-filters.ts';
import type { UsageRecord } from '../../../src/store/index.ts';

const record: UsageRecord = {
  type: 'exec.cachemount',
  id: '/npm',
  description: 'RUN npm ci',
  size: 5,
  shared: false,
  inUse: false,
  parents: [],
  createdAt: 1,
  usedAt: 2,
};
const passes = (...filters: readonly string[]): boolean => parsePruneFilters(filters).filter?.(record) ?? true;

test('filters are held against records, and all of them have to be met', () => {
  for (const filter of [
    'type=exec.cachemount',
    'type==exec.cachemount',
    'type!=regular',
    'id=/npm',
    'description~=^RUN npm',
    'shared=false',
  ])
    expect(passes(filter), filter).toBe(true);
  for (const filter of ['type=regular', 'id!=/npm', 'description~=pip', 'description=RUN', 'shared=true'])
    expect(passes(filter), filter).toBe(false);
  expect(passes('type=exec.cachemount', 'id=other')).toBe(false);
});

test('until is a time, the last one', () => {
  expect(parsePruneFilters(['until=1h', 'unused-for=2h'])).toEqual({ untilMs: 7_200_000 });
  expect(parsePruneFilters([])).toEqual({});
});

describe('filters that are none', () => {
  test.each([
    ['type', 'it is not FIELD=VALUE'],
    ['typ=x', 'there is no field "typ"'],
    ['description~=(', 'it is not a regular expression'],
    ['constructor=x', 'there is no field "constructor"'],
  ])('%s: %s', (filter, why) => {
    expect(() => parsePruneFilters([filter])).toThrow(`Cannot use --filter ${JSON.stringify(filter)}: ${why}`);
  });
});
