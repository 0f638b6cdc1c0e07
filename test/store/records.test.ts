import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prune, type StoredLink, type StoredRecord } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { makeLayer, openStore, removeTrees, tempRoot, type TestStore } from './support.ts';

const OP = sha256('op');
const link = (from: string, more: Partial<StoredLink> = {}): StoredLink => ({
  from,
  op: OP,
  input: 0,
  output: 0,
  ...more,
});

/** Adds a record of a layer of its own. */
function addRecord({ store }: TestStore, id: string, more: Partial<StoredRecord> = {}): string {
  const layer = makeLayer(store);
  store.records.add({ id, node: `node of ${id}`, layers: [layer], blobs: [], createdAt: 1, ...more });
  return layer;
}

describe('links of the key graph', () => {
  test('lead from what is known to a node, for exactly that op, input, output and selector', () => {
    using opened = openStore();
    const { records } = opened.store;
    const exact = link('a', { input: 1, output: 2, selector: sha256('path') });
    records.addLinks('node', [exact]);
    expect(records.nodes(exact)).toEqual(['node']);
    const { selector: _, ...without } = exact;
    for (const other of [
      without,
      { ...exact, selector: sha256('other') },
      { ...exact, input: 0 },
      { ...exact, output: 0 },
      { ...exact, op: sha256('other') },
      { ...exact, from: 'b' },
    ])
      expect(records.nodes(other), JSON.stringify(other)).toEqual([]);
  });

  test('are told backwards as they were given, however often they were added', () => {
    using opened = openStore();
    const { records } = opened.store;
    const links = [link('b', { selector: sha256('s') }), link('a'), link('a', { input: 1 })];
    for (let time = 0; time < 3; time++) records.addLinks('node', links);
    records.addLinks('other', [link('a')]);
    expect(records.linksTo('node')).toEqual([link('a'), link('b', { selector: sha256('s') }), link('a', { input: 1 })]);
    expect(records.linksTo('none')).toEqual([]);
    expect(records.nodes(link('a')).toSorted()).toEqual(['node', 'other']);
  });

  test('any texts come back as they were', () => {
    using opened = openStore();
    const { records } = opened.store;
    const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((one) => !one.includes('\0'));
    fc.assert(
      fc.property(text, text, fc.nat(9), fc.nat(9), fc.option(text), (from, node, input, output, selector) => {
        const one = link(from, {
          input,
          output,
          ...(selector === null ? {} : { selector: sha256(selector) }),
        });
        records.addLinks(node, [one]);
        expect(records.nodes(one)).toContain(node);
        expect(records.linksTo(node)).toContainEqual(one);
      }),
      { numRuns: 60 },
    );
    expect(opened.warnings).toEqual([]);
  });

  test('go when no record can be reached from them, and stay as long as one can', () => {
    using opened = openStore();
    const { records } = opened.store;
    records.addLinks('middle', [link('source')]);
    records.addLinks('end', [link('middle')]);
    records.addLinks('dead end', [link('source', { input: 1 })]);
    // Keys may lead in a circle: two nodes that came to be the same.
    records.addLinks('round', [link('about')]);
    records.addLinks('about', [link('round')]);
    addRecord(opened, 'r', { node: 'end' });
    records.removeDeadLinks();
    expect(records.linksTo('end')).toEqual([link('middle')]);
    expect(records.linksTo('middle')).toEqual([link('source')]);
    for (const gone of ['dead end', 'round', 'about']) expect(records.linksTo(gone), gone).toEqual([]);
    records.remove('r');
    records.removeDeadLinks();
    expect([...records.linksTo('end'), ...records.linksTo('middle')]).toEqual([]);
  });
});

describe('records', () => {
  test('are found at their node, the newest first, and by id', () => {
    using opened = openStore();
    const { records } = opened.store;
    const blob = sha256('blob');
    const [old, young] = ['old', 'young'].map((id, at) =>
      addRecord(opened, id, { node: 'n', createdAt: at, blobs: [blob] }),
    );
    expect(records.at('n').map(({ id }) => id)).toEqual(['young', 'old']);
    expect(records.at('m')).toEqual([]);
    expect(records.get('old')).toEqual({ id: 'old', node: 'n', layers: [old], blobs: [blob], createdAt: 0 });
    expect(records.get('young')?.layers).toEqual([young]);
    expect(records.get('none')).toBeUndefined();
  });

  test('come back whatever their layers and blobs are, each blob once', () => {
    using opened = openStore();
    const { store } = opened;
    const layers = Array.from({ length: 4 }, () => makeLayer(store));
    fc.assert(
      fc.property(
        fc.subarray(layers, { minLength: 0 }),
        fc.array(
          fc.string({ maxLength: 3 }).map((text) => sha256(text)),
          { maxLength: 6 },
        ),
        (some, blobs) => {
          store.records.add({ id: 'r', node: 'n', layers: some, blobs, createdAt: 5 });
          expect(store.records.get('r')).toEqual({
            id: 'r',
            node: 'n',
            layers: some,
            blobs: [...new Set(blobs)].toSorted(),
            createdAt: 5,
          });
          store.records.remove('r');
          expect(store.records.get('r')).toBeUndefined();
        },
      ),
      { numRuns: 40 },
    );
    expect(opened.warnings).toEqual([]);
  });

  test('one that is added again in place of itself has only the blobs of the second time', () => {
    using opened = openStore();
    const { store } = opened;
    const layer = makeLayer(store);
    const add = (...blobs: Digest[]): void =>
      store.records.add({ id: 'r', node: 'n', layers: [layer], blobs, createdAt: 1 });
    add(sha256('first'), sha256('both'));
    add(sha256('both'));
    expect(store.records.get('r')?.blobs).toEqual([sha256('both')]);
    expect(opened.warnings).toEqual([]);
  });

  test('what several do together is there as a whole or not', () => {
    using opened = openStore();
    const { records } = opened.store;
    const layer = makeLayer(opened.store);
    expect(() =>
      records.together(() => {
        records.add({ id: 'r', node: 'n', layers: [layer], blobs: [], createdAt: 1 });
        records.addLinks('n', [link('a')]);
        throw new Error('on the way');
      }),
    ).toThrow('on the way');
    expect(records.get('r')).toBeUndefined();
    expect(records.nodes(link('a'))).toEqual([]);
  });
});

describe('the generation of the cache', () => {
  /** Whether something changes the name of the present state, seen by this process and by another one. */
  const changes = async (opened: TestStore, work: () => unknown): Promise<boolean> => {
    const before = opened.store.records.generation();
    await work();
    using other = openStore(opened.root);
    expect(other.store.records.generation()).toBe(opened.store.records.generation());
    return opened.store.records.generation() !== before;
  };

  test('is another one after every record that comes or goes, and stays while they are looked at', async () => {
    using opened = openStore();
    const { store } = opened;
    const { records } = store;
    expect(await changes(opened, () => addRecord(opened, 'r', { node: 'n' }))).toBe(true);
    expect(
      await changes(opened, () => {
        records.at('n');
        records.get('r');
        records.addLinks('n', [link('a')]);
        records.flush();
      }),
    ).toBe(false);
    expect(await changes(opened, () => collectGarbage(store, removeTrees))).toBe(false);
    expect(await changes(opened, () => records.remove('r'))).toBe(true);
  });

  test('is another one after a collection that takes a record with its layer', async () => {
    using opened = openStore();
    const { store } = opened;
    // A layer with neither directory nor blob: what a killed build leaves, and a disk that lost its directory.
    const lease = store.leases.create();
    const layer = store.layers.create({ parents: [] }, lease);
    store.records.add({ id: 'r', node: 'n', layers: [layer], blobs: [], createdAt: 1 });
    lease.release();
    expect(await changes(opened, () => collectGarbage(store, removeTrees))).toBe(true);
    expect(store.records.get('r')).toBeUndefined();
  });

  test('is another one after a prune that takes one', async () => {
    using opened = openStore();
    addRecord(opened, 'r');
    expect(await changes(opened, () => prune(opened.store, { removeTrees }))).toBe(true);
    expect(opened.store.records.get('r')).toBeUndefined();
  });

  test('of a new store is that of a new index, and none', () => {
    using opened = openStore();
    expect(opened.store.records.generation()).toBe('');
    addRecord(opened, 'r');
    opened.store.database().rebuild();
    expect(opened.store.records.generation()).toBe('');
  });
});

describe('when records were last used', () => {
  const HOUR = 3_600_000;

  test('a look at a node counts for its newest record, at most once in an hour, and is written when the store closes', () => {
    const root = tempRoot();
    const start = 1_700_000_000_000;
    const uses = (): readonly number[] => {
      using opened = openStore(root, { now: start });
      return opened.store.records.uses().stacks.map(([, at]) => at);
    };
    {
      using opened = openStore(root, { now: start });
      addRecord(opened, 'old', { node: 'n', createdAt: start - 1 });
      addRecord(opened, 'new', { node: 'n', createdAt: start });
    }
    expect(uses()).toEqual([start, start - 1]);
    for (const [later, expected] of [
      [HOUR, start],
      [HOUR + 1, start + HOUR + 1],
    ] as const) {
      {
        using opened = openStore(root, { now: start + later });
        opened.store.records.at('n');
      }
      expect(uses()).toEqual([expected, start - 1]);
    }
  });

  test('counts for all layers beneath, and for blobs', () => {
    using opened = openStore();
    const { store } = opened;
    const below = makeLayer(store);
    const above = makeLayer(store, { parents: [below] });
    const blob = sha256('blob');
    store.records.add({ id: 'a', node: 'n', layers: [below], blobs: [blob], createdAt: 10 });
    store.records.add({ id: 'b', node: 'm', layers: [below, above], blobs: [blob], createdAt: 20 });
    const { stacks, blobs } = store.records.uses();
    expect(stacks.map(([, at]) => at)).toEqual([20, 10]);
    expect([...blobs]).toEqual([[blob, 20]]);
  });
});

describe('records that dangle', () => {
  test('are those that name a layer or a blob that is gone', () => {
    using opened = openStore();
    const { store } = opened;
    const { digest } = store.blobs.put('here');
    const layer = addRecord(opened, 'whole', { blobs: [digest] });
    addRecord(opened, 'without its blob', { blobs: [sha256('gone')] });
    const below = makeLayer(store);
    const above = makeLayer(store, { parents: [below] });
    store.records.add({ id: 'without what is beneath', node: 'n', layers: [below, above], blobs: [], createdAt: 1 });
    store.records.add({ id: 'of scratch', node: 'n', layers: [], blobs: [], createdAt: 1 });
    store.layers.forget(below);
    const has = (one: Digest): boolean => store.blobs.has(one);
    expect(store.records.dangling(has).toSorted()).toEqual(['without its blob', 'without what is beneath']);
    expect(store.records.removeDangling()).toBe(1);
    expect(store.records.dangling(has)).toEqual(['without its blob']);
    expect(store.records.get('whole')?.layers).toEqual([layer]);
    expect(store.records.get('of scratch')).toMatchObject({ layers: [] });
  });
});
