import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EnvList } from '../../src/llb/index.ts';
import { processorTime } from '../support/processor-time.ts';

/** Few names, so that many are set again. */
const name = fc.constantFrom('A', 'B', 'C', 'D', '__proto__', '', 'Ä');
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), key: name, value: fc.string() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: name }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('many' as const), entries: fc.array(fc.tuple(name, fc.string())) }),
  },
  // So many that what has changed is laid together.
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wide' as const), count: fc.integer({ min: 200, max: 300 }) }),
  },
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function entriesOf(one: Change): readonly (readonly [string, string])[] {
  if (one.kind === 'set') return [[one.key, one.value]];
  if (one.kind === 'many') return one.entries;
  return one.kind === 'wide' ? Array.from({ length: one.count }, (_, at) => [`W${at}`, `${at}`] as const) : [];
}

function changed(list: EnvList, one: Change): EnvList {
  return one.kind === 'delete' ? list.delete(one.key) : list.setAll(entriesOf(one));
}

/** The list as an array, where it is plain what setting and taking away mean. */
function changedArray(
  list: readonly (readonly [string, string])[],
  one: Change,
): readonly (readonly [string, string])[] {
  if (one.kind === 'delete') return list.filter(([key]) => key !== one.key);
  return entriesOf(one).reduce<readonly (readonly [string, string])[]>(
    (all, entry) => [...all.filter(([key]) => key !== entry[0]), entry],
    list,
  );
}

describe('the environment of a state', () => {
  test('is the list that it was made to be, last what was set last', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const list = changes.reduce(changed, EnvList.empty);
        const wanted = changes.reduce(changedArray, []);
        expect([...list.entries()]).toEqual(wanted);
        expect([...list.keys()]).toEqual(wanted.map(([key]) => key));
        expect(list.toArray()).toEqual(wanted.map(([key, value]) => `${key}=${value}`));
        for (const key of ['A', 'W1', 'none']) {
          const found = wanted.find(([one]) => one === key)?.[1];
          expect([list.get(key), list.has(key)]).toEqual([found, found !== undefined]);
        }
      }),
    );
  });

  test('stays as it is when others are made of it', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), change, change, (changes, one, other) => {
        const list = changes.reduce(changed, EnvList.empty);
        const before = list.toArray();
        const [first, second] = [changed(list, one), changed(list, other)];
        const kept = first.toArray();
        changed(first, other);
        expect([list.toArray(), first.toArray()]).toEqual([before, kept]);
        expect(second.toArray()).toEqual(changed(EnvList.from(list.entries()), other).toArray());
      }),
    );
  });

  test('the same list when nothing is taken away', () => {
    const list = EnvList.from([['A', '1']]);
    expect(list.delete('B')).toBe(list);
    expect(list.delete('A').delete('A').toArray()).toEqual([]);
    expect(list.delete('A').has('A')).toBe(false);
    expect(list.set('A', '').has('A')).toBe(true);
  });

  test('grows to thirty thousand variables one by one', async () => {
    let list = EnvList.empty;
    expect(
      await processorTime(() => {
        for (let at = 0; at < 30_000; at++) list = list.set(`A${at}`, '');
      }),
    ).toBeLessThan(4000);
    expect([...list.keys()]).toHaveLength(30_000);
    expect(list.get('A29999')).toBe('');
  });
});
