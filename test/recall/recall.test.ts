import { describe, expect, test } from 'vitest';
import { createIndexCache } from '../../src/cache/index.ts';
import { Recall, type RememberedBuild } from '../../src/recall/index.ts';
import { prune, type Store } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { makeLayer, openStore, removeTrees } from '../store/support.ts';

const build: RememberedBuild = {
  testimony: { roots: [], states: [], places: [], absent: [], names: [], texts: [], sizes: [] },
  events: [{ type: 'vertex', vertex: sha256('v'), name: 'RUN x', inputs: [], state: 'cached', at: 1 }],
  metadata: { 'containerimage.digest': 'd' },
  layers: [],
  images: [],
};

/** A step runs in some other build, and its result is saved. */
function runStep(store: Store): void {
  const cache = createIndexCache<string>(store, {
    lease: store.leases.create(),
    codec: { encode: () => ({ layers: [] }), decode: () => 'result' },
  });
  cache.save('node', 'result');
}

describe('remembered builds', () => {
  test('are found under their key, also by another process', () => {
    using opened = openStore();
    new Recall(opened.store, 'key').put(build);
    using again = openStore(opened.root);
    expect(new Recall(again.store, 'key').find()).toMatchObject(build);
    expect(new Recall(again.store, 'other').find()).toBeUndefined();
  });

  test('count as used, with their layers, once in ten minutes', async () => {
    using opened = openStore();
    const { store } = opened;
    const layer = makeLayer(store);
    const recall = new Recall(store, 'key');
    recall.put({ ...build, layers: [layer] });
    const usedAt = () => [store.layers.get(layer)?.usedAt, store.facts.get('recall', 'key')?.usedAt];
    const [first = 0] = usedAt();
    for (const [minutes, counted] of [
      [9, 0],
      [2, 11],
      [9, 11],
      [2, 22],
    ] as const) {
      opened.advance(minutes * 60_000);
      recall.find()?.[Symbol.dispose]();
      store.flush();
      expect(usedAt()).toEqual([first + counted * 60_000, first + counted * 60_000]);
    }
  });

  test('are forgotten when something they stand on is gone', () => {
    using opened = openStore();
    const recall = new Recall(opened.store, 'key');
    recall.put({ ...build, testimony: { ...build.testimony, sizes: [['/does/not/exist', 1]] } });
    expect(recall.find()).toBeUndefined();
  });

  test('are forgotten when the cache got a newer result, also one that came while they were built', () => {
    using opened = openStore();
    const { store } = opened;
    new Recall(store, 'key').put(build);
    runStep(store);
    expect(new Recall(store, 'key').find()).toBeUndefined();
    const during = new Recall(store, 'key');
    runStep(store);
    during.put(build);
    expect(new Recall(store, 'key').find()).toBeUndefined();
  });

  test('are forgotten when the cache is pruned', async () => {
    for (const options of [{ all: true }, { all: false }]) {
      using opened = openStore();
      const { store } = opened;
      makeLayer(store);
      new Recall(store, 'key').put(build);
      await prune(store, { ...options, removeTrees });
      expect(new Recall(store, 'key').find()).toBeUndefined();
    }
  });

  test('are kept in small numbers, the least used go first', () => {
    using opened = openStore();
    const { store } = opened;
    for (let n = 0; n < 20; n++) {
      opened.advance(1000);
      new Recall(store, `key${n}`).put(build);
      opened.advance(11 * 60_000);
      expect(new Recall(store, 'key0').find()).toMatchObject(build);
    }
    const found = Array.from({ length: 20 }, (_, n) => new Recall(store, `key${n}`).find() !== undefined);
    expect(found.filter(Boolean)).toHaveLength(16);
    expect(found[0]).toBe(true);
    expect(found[1]).toBe(false);
  });

  test.each([
    '',
    '{}',
    'null',
    '[1]',
    '{"generation":""}',
    '{"generation":"","testimony":{"roots":5}}',
    '{"generation":"","testimony":{"roots":[],"states":[],"texts":[],"sizes":[]}}',
  ])('a damaged memory is none: %s', (value) => {
    using opened = openStore();
    const { store } = opened;
    new Recall(store, 'key').put(build);
    store.database().prepare("UPDATE facts SET value = ? WHERE kind = 'recall'").run(value);
    expect(new Recall(store, 'key').find()).toBeUndefined();
  });
});
