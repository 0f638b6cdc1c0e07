import * as fc from 'fast-check';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createIndexCache, type IndexCache, type ResultCodec } from '../../src/cache/index.ts';
import type { KeyLink } from '../../src/solver/types.ts';
import { prune } from '../../src/store/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import type { Task } from '../../src/events/index.ts';
import { makeLayer, openStore, removeTrees, tempRoot, type TestStore } from '../store/support.ts';

interface Result {
  readonly layers: readonly string[];
  readonly blobs?: readonly Digest[];
  readonly local?: boolean;
}

const codec: ResultCodec<Result> = {
  encode: (result) =>
    result.local ? undefined : { layers: result.layers, ...(result.blobs ? { blobs: result.blobs } : {}) },
  decode: (layers) => ({ layers }),
};

const task: Task = { signal: new AbortController().signal, events: () => {} };

function cacheOf(opened: TestStore, warnings: string[] = []): IndexCache<Result> {
  return createIndexCache(opened.store, {
    codec,
    lease: opened.store.leases.create(),
    onWarning: (message) => warnings.push(message),
  });
}

const link = (from: string, op: string, more: Partial<KeyLink> = {}): KeyLink => ({
  op: sha256(op),
  output: 0,
  input: 0,
  from,
  ...more,
});

describe('the local cache', () => {
  test('finds what was linked, by every part of the link', () => {
    using opened = openStore();
    const cache = cacheOf(opened);
    const links = [link('a', 'op'), link('b', 'op', { input: 1, selector: sha256('s') })];
    cache.link('node', links);
    cache.link('other', [link('a', 'op', { output: 1 })]);
    expect(cache.query([link('a', 'op')])).toEqual(['node']);
    expect(cache.query([link('b', 'op', { input: 1, selector: sha256('s') })])).toEqual(['node']);
    expect(cache.query([link('a', 'op', { output: 1 })])).toEqual(['other']);
    expect([...cache.query([link('a', 'op'), link('a', 'op', { output: 1 })])].sort()).toEqual(['node', 'other']);
    for (const miss of [
      link('A', 'op'),
      link('a', 'other op'),
      link('a', 'op', { input: 1 }),
      link('a', 'op', { output: 2 }),
      link('a', 'op', { selector: sha256('s') }),
      link('b', 'op', { input: 1 }),
    ])
      expect(cache.query([miss])).toEqual([]);
    expect(cache.query([])).toEqual([]);
  });

  test('results come back in another process, newest first, and only whole ones', async () => {
    const root = tempRoot();
    let layer = '';
    {
      using opened = openStore(root);
      layer = makeLayer(opened.store);
      const cache = cacheOf(opened);
      expect(cache.save('node', { layers: [layer] })).toMatchObject({ createdAt: 1_700_000_000_000 });
      opened.advance(1000);
      cache.save('node', { layers: [] });
      expect(cache.save('node', { layers: [], local: true })).toBeUndefined();
      // Not followed by a save: written when the store is closed.
      cache.link('node', [link('a', 'op')]);
    }
    using opened = openStore(root);
    const cache = cacheOf(opened);
    expect(cache.query([link('a', 'op')])).toEqual(['node']);
    const records = cache.records('node');
    expect(records.map(({ createdAt }) => createdAt)).toEqual([1_700_000_001_000, 1_700_000_000_000]);
    const results = await Promise.all(records.map((record) => cache.load(task, record)));
    expect(results).toEqual([{ layers: [] }, { layers: [layer] }]);
    expect(cache.records('unknown')).toEqual([]);
  });

  test('a record whose layer or blob is gone does not load', async () => {
    using opened = openStore();
    const { store } = opened;
    const cache = cacheOf(opened);
    const blob = store.blobs.put('content');
    const [kept, removed] = [makeLayer(store), makeLayer(store)];
    const good = cache.save('n', { layers: [kept], blobs: [blob.digest] });
    const withoutLayer = cache.save('n', { layers: [kept, removed] });
    const withoutBlob = cache.save('n', { layers: [], blobs: [sha256('never there')] });
    fs.rmSync(store.layers.paths(removed).fs, { recursive: true });
    if (!good || !withoutLayer || !withoutBlob) throw new Error('not saved');
    await expect(cache.load(task, good)).resolves.toEqual({ layers: [kept] });
    for (const record of [withoutLayer, withoutBlob]) {
      await expect(cache.load(task, record)).rejects.toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
      cache.drop(record);
    }
    expect(cache.records('n')).toEqual([good]);
    await expect(cache.load(task, withoutBlob)).rejects.toThrow(/was removed/);
  });

  test.each(['stack', 'node', 'created_at'])(
    'a record whose %s was changed does not load, and goes',
    async (column) => {
      using opened = openStore();
      const cache = cacheOf(opened);
      const record = cache.save('n', { layers: [makeLayer(opened.store)] });
      if (!record) throw new Error('not saved');
      opened.store.database().prepare(`UPDATE records SET ${column} = '1'`).run();
      await expect(cache.load(task, record)).rejects.toThrow(/was removed/);
      expect(cache.records('n')).toEqual([]);
    },
  );

  test('results that were swapped are not taken for each other', async () => {
    using opened = openStore();
    const cache = cacheOf(opened);
    const records = ['a', 'b'].map((node) => cache.save(node, { layers: [makeLayer(opened.store)] }));
    const stacks = opened.store.database().prepare('SELECT id, stack FROM records').all();
    const [first, second] = stacks;
    const put = opened.store.database().prepare('UPDATE records SET stack = ? WHERE id = ?');
    put.run(String(second?.['stack']), String(first?.['id']));
    put.run(String(first?.['stack']), String(second?.['id']));
    for (const record of records) if (record) await expect(cache.load(task, record)).rejects.toThrow(/was removed/);
  });

  test('the build may know where to fetch layers that the store lacks', async () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const remote = store.layers.create({ parents: [] }, lease);
    const cache = createIndexCache(store, { codec, lease, available: (layers) => layers.every((id) => id === remote) });
    const record = cache.save('n', { layers: [remote] });
    if (!record) throw new Error('not saved');
    await expect(cache.load(task, record)).resolves.toEqual({ layers: [remote] });
  });

  test('what was loaded is held, and counts as used', async () => {
    using opened = openStore();
    const { store } = opened;
    const layer = makeLayer(store);
    const lease = store.leases.create();
    const cache = createIndexCache(store, { codec, lease });
    const record = cache.save('n', { layers: [layer] });
    if (!record) throw new Error('not saved');
    opened.advance(5000);
    await cache.load(task, record);
    expect((await prune(store, { removeTrees, all: true })).removed).toEqual([]);
    expect(store.layers.get(layer)?.usedAt).toBe(1_700_000_005_000);
    lease.release();
    await prune(store, { removeTrees, all: true });
    expect(cache.records('n')).toEqual([]);
  });

  test('links that lead to no record are pruned, the others stay', async () => {
    using opened = openStore();
    const { store } = opened;
    const cache = cacheOf(opened);
    const layer = makeLayer(store);
    cache.link('mid', [link('leaf', 'op')]);
    cache.link('end', [link('mid', 'op')]);
    cache.link('dead end', [link('mid', 'other op')]);
    cache.link('loop', [link('loop', 'op')]);
    cache.save('end', { layers: [] });
    cache.save('dead end', { layers: [layer] });
    await prune(store, { removeTrees });
    expect(cache.query([link('leaf', 'op')])).toEqual(['mid']);
    expect(cache.query([link('mid', 'op')])).toEqual(['end']);
    expect(cache.query([link('mid', 'other op'), link('loop', 'op')])).toEqual([]);
  });

  test('an index that cannot be used is a miss and one warning', () => {
    using opened = openStore();
    const warnings: string[] = [];
    const cache = cacheOf(opened, warnings);
    opened.store.database().close();
    for (let round = 0; round < 3; round++) {
      expect(cache.query([link('a', 'op')])).toEqual([]);
      expect(cache.records('n')).toEqual([]);
      expect(cache.save('n', { layers: [] })).toBeUndefined();
    }
    expect(warnings).toHaveLength(3);
  });

  test('a damaged index is replaced under the running build', () => {
    const root = tempRoot();
    {
      using opened = openStore(root);
      const cache = cacheOf(opened);
      for (let number = 0; number < 400; number++) cache.link(`node ${number}`, [link(`from ${number}`, 'op')]);
    }
    const path = join(root, 'index.sqlite');
    const fd = fs.openSync(path, 'r+');
    for (let page = 1; page * 4096 < fs.fstatSync(fd).size; page++)
      fs.writeSync(fd, Buffer.alloc(4096, 0x41), 0, 4096, page * 4096);
    fs.closeSync(fd);
    using opened = openStore(root);
    const cache = cacheOf(opened);
    expect(cache.query([link('from 1', 'op')])).toEqual([]);
    cache.link('node', [link('from 1', 'op')]);
    expect(cache.query([link('from 1', 'op')])).toEqual(['node']);
    expect(cache.save('node', { layers: [] })).toBeDefined();
    expect(opened.warnings).toMatchObject([{ code: 'index-rebuilt' }]);
  });

  test('any key graph gives back exactly what was put into it', () => {
    using opened = openStore();
    const cache = cacheOf(opened);
    const text = fc.string({ unit: 'grapheme', maxLength: 8 });
    const arbitrary = fc.record({
      from: text,
      op: fc.constantFrom(sha256('1'), sha256('2')),
      input: fc.nat(3),
      output: fc.nat(3),
      selector: fc.option(fc.constantFrom(sha256('s'), sha256('t')), { nil: undefined }),
    });
    const keyOf = (one: object): string => JSON.stringify(one);
    const model = new Map<string, Set<string>>();
    fc.assert(
      fc.property(text, fc.array(arbitrary, { maxLength: 4 }), arbitrary, (node, links, probe) => {
        const clean = links.map(({ selector, ...rest }) => (selector === undefined ? rest : { ...rest, selector }));
        cache.link(node, clean);
        for (const one of links) model.set(keyOf(one), (model.get(keyOf(one)) ?? new Set()).add(node));
        for (const asked of [...links, probe]) {
          const { selector, ...rest } = asked;
          const found = cache.query([selector === undefined ? rest : { ...rest, selector }]);
          expect(new Set(found)).toEqual(model.get(keyOf(asked)) ?? new Set());
        }
      }),
      { numRuns: 100 },
    );
  });
});
