import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check, du, isLimited, keepWithin, prune, type Store, type UsageRecord } from '../../src/store/index.ts';
import { ownBytes } from '../../src/store/overhead.ts';
import { collectGarbage } from './collect-garbage.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import {
  ended,
  filesBelow,
  makeLayer,
  openStore,
  printed,
  putImage,
  realBootId,
  removeTrees,
  startUser,
  tempRoot,
} from './support.ts';

function addBlob(store: Store, id: string, content: string): void {
  const blob = store.blobs.put(content);
  const descriptor = { mediaType: mediaTypes.ociLayer, ...blob };
  store.layers.addBlob(id, { compression: 'none', descriptor, diffId: sha256(content) });
}

function addRecord(store: Store, id: string, layers: readonly string[]): void {
  store.records.add({ id, node: `node of ${id}`, layers, blobs: [], createdAt: 1 });
}

const recordIds = (store: Store): string[] =>
  store
    .database()
    .prepare('SELECT id FROM records ORDER BY id')
    .all()
    .map((row) => String(row['id']));
const layerIds = (store: Store): string[] => store.layers.list().map(({ id }) => id);
const diskBytes = (store: Store): number =>
  [...store.blobs.list()].reduce((total, { size }) => total + size, 0) +
  filesBelow(store.layout.snapshots).reduce((total, path) => total + fs.statSync(path).size, 0);

describe('du', () => {
  test('every byte is counted once', () => {
    using opened = openStore();
    const { store } = opened;
    const [a, b] = [makeLayer(store, { size: 1000 }), makeLayer(store, { size: 500 })];
    for (const id of [a, b]) addBlob(store, id, 'the same blob');
    putImage(store, 'docker.io/library/a:1', ['the same blob', 'another blob']);
    putImage(store, 'docker.io/library/b:1', ['another blob']);
    store.blobs.put('loose');
    const { records, totalBytes } = du(store);
    expect(totalBytes).toBe(diskBytes(store));
    const summary = records.map(({ type, id, shared }) => [type, id, shared]);
    expect(summary).toEqual(
      expect.arrayContaining([
        ['regular', a, true],
        ['regular', b, true],
        ['image', 'docker.io/library/a:1', true],
        ['image', 'docker.io/library/b:1', false],
        ['blob', sha256('loose'), false],
      ]),
    );
    expect(records).toHaveLength(5);
  });

  test('tells what is in use and what prune would give back', () => {
    using opened = openStore();
    const { store } = opened;
    const [held, free] = [makeLayer(store, { size: 70 }), makeLayer(store, { size: 30 })];
    using lease = store.leases.create();
    lease.hold({ layers: [held] });
    expect(new Map(du(store).records.map(({ id, inUse }) => [id, inUse]))).toEqual(
      new Map([
        [held, true],
        [free, false],
      ]),
    );
    expect(du(store)).toMatchObject({ totalBytes: 100, reclaimableBytes: 30 });
  });

  test('an empty store', () => {
    using opened = openStore();
    expect(du(opened.store)).toEqual({ records: [], totalBytes: 0, reclaimableBytes: 0 });
  });
});

describe('prune', () => {
  test('takes what no image uses, and with --all the rest; blobs of images stay', async () => {
    using opened = openStore();
    const { store } = opened;
    const [ofImage, plain] = [makeLayer(store), makeLayer(store)];
    const internal = store.layers.create({ parents: [], type: 'internal' }, store.leases.create());
    addBlob(store, ofImage, 'image layer');
    addBlob(store, plain, 'plain layer');
    putImage(store, 'docker.io/library/a:1', ['image layer']);
    addRecord(store, 'r1', [ofImage]);
    addRecord(store, 'r2', [ofImage, plain]);
    const before = diskBytes(store);
    const first = await prune(store, { removeTrees });
    expect(first.removed.map(({ id }) => id)).toEqual([plain]);
    expect(first.freedBytes).toBe(before - diskBytes(store));
    expect(layerIds(store).sort()).toEqual([ofImage, internal].sort());
    expect(recordIds(store)).toEqual(['r1']);
    const second = await prune(store, { removeTrees, all: true });
    expect(second.removed.map(({ id }) => id)).toEqual([ofImage]);
    expect(recordIds(store)).toEqual([]);
    expect(store.blobs.verify(sha256('image layer'))).toBe(true);
    expect(fs.readdirSync(store.layout.snapshots)).toEqual([]);
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
    expect((await check(store)).problems).toEqual([]);
    store.images.remove('docker.io/library/a:1');
  });

  test('directories of many records are deleted while the next ones are put aside', async () => {
    using opened = openStore();
    const { store } = opened;
    for (let count = 0; count < 600; count++) makeLayer(store, { size: 1 });
    const left: number[] = [];
    const report = await prune(store, {
      all: true,
      removeTrees: async (paths) => {
        left.push(fs.readdirSync(store.layout.snapshots).length);
        expect(paths.every((path) => path.startsWith(store.layout.garbage))).toBe(true);
        await removeTrees(paths);
      },
    });
    expect(report.removed).toHaveLength(600);
    expect(left.length).toBeGreaterThan(1);
    expect(left[0]).toBeGreaterThan(0);
    expect(left.at(-1)).toBe(0);
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  });

  test('a directory that cannot be deleted is told once nobody deletes any more, and is deleted the next time', async () => {
    using opened = openStore();
    const { store } = opened;
    for (let count = 0; count < 300; count++) makeLayer(store, { size: 1 });
    let running = 0;
    let given = 0;
    let last = 0;
    const failing = prune(store, {
      all: true,
      removeTrees: async (paths) => {
        running++;
        given += paths.length;
        last = paths.length;
        const isLast = given === 300;
        await new Promise((resolve) => setTimeout(resolve, 20));
        running--;
        if (isLast) throw new Error('cannot delete');
        await removeTrees(paths);
      },
    });
    await expect(failing).rejects.toThrow('cannot delete');
    expect(running).toBe(0);
    expect(last).toBeLessThan(300);
    expect(fs.readdirSync(store.layout.garbage)).toHaveLength(last);
    await prune(store, { all: true, removeTrees });
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
    expect((await check(store)).problems).toEqual([]);
  });

  test('once an image is removed its blobs go', async () => {
    const root = tempRoot();
    {
      using opened = openStore(root);
      putImage(opened.store, 'a', ['one', 'two']);
      putImage(opened.store, 'b', ['two']);
      opened.store.images.remove('a');
    }
    // The session that wrote them has ended; while it ran they counted as in use.
    using opened = openStore(root);
    await prune(opened.store, { removeTrees });
    expect([...opened.store.blobs.list()]).toHaveLength(3);
    expect(opened.store.blobs.has(sha256('one'))).toBe(false);
    expect((await check(opened.store)).problems).toEqual([]);
  });

  test('never takes what a lease names, of this or another process', async () => {
    const root = tempRoot();
    using opened = openStore(root, { bootId: realBootId });
    const { store } = opened;
    const [mine, theirs, free] = [makeLayer(store), makeLayer(store), makeLayer(store)];
    addBlob(store, mine, 'blob of a leased layer');
    using lease = store.leases.create();
    const { path } = store.mounts.ensure('cache', lease);
    expect(lease.hold({ layers: [mine, 'f'.repeat(64)], blobs: [sha256('x')] })).toEqual({
      missingLayers: ['f'.repeat(64)],
    });
    store.blobs.put('x');
    const child = startUser(['hold', root, theirs]);
    await printed(child, 'ready');
    const report = await prune(store, { removeTrees, all: true });
    expect(report.removed.map(({ id }) => id)).toEqual([free]);
    expect(store.layers.usable([mine, theirs])).toBe(true);
    expect(
      store.blobs.has(sha256('x')) && store.blobs.has(sha256('blob of a leased layer')) && fs.existsSync(path),
    ).toBe(true);
    const unfinished = fs.readdirSync(store.layout.snapshots).filter((name) => ![mine, theirs].includes(name));
    expect(unfinished, 'a layer that the other process is making').toHaveLength(1);
    expect(filesBelow(store.layout.ingest)).toHaveLength(1);
    child.kill('SIGKILL');
    await ended(child);
    await prune(store, { removeTrees, all: true });
    expect(layerIds(store)).toEqual([mine]);
    expect(filesBelow(store.layout.ingest)).toEqual([]);
    expect(fs.readdirSync(store.layout.snapshots)).toEqual([mine]);
    lease.release();
    await prune(store, { removeTrees, all: true });
    expect(layerIds(store)).toEqual([]);
    expect(fs.existsSync(path)).toBe(false);
    expect((await check(store)).problems).toEqual([]);
  });

  test('a younger blob of a running session stays although nobody leased it yet', async () => {
    using opened = openStore();
    const { store } = opened;
    store.blobs.put('from the worker');
    expect((await prune(store, { removeTrees, all: true })).removed).toEqual([]);
  });

  test('keeps the most recently used when a limit is given', async () => {
    using opened = openStore();
    const { store } = opened;
    const base = makeLayer(store, { size: 400 });
    const ids = [base];
    for (let number = 0; number < 4; number++) {
      opened.advance(1000);
      ids.push(makeLayer(store, { size: 100, parents: [base] }));
    }
    opened.advance(1000);
    store.layers.touch([base, ids[1] ?? '']);
    const report = await prune(store, { removeTrees, keepStorageBytes: 650 });
    expect(report.removed.map(({ id }) => id)).toEqual([ids[2], ids[3]]);
    expect(report.freedBytes).toBe(200);
    expect((await prune(store, { removeTrees, keepStorageBytes: 650 })).removed).toEqual([]);
    expect((await prune(store, { removeTrees, keepStorageBytes: 0 })).removed).toHaveLength(3);
  });

  test('makes the whole store as small as it may be, and takes internal records when nothing else is left', async () => {
    using opened = openStore();
    const { store } = opened;
    const old = makeLayer(store, { size: 400_000 });
    const internal = makeLayer(store, { size: 400_000, type: 'internal' });
    opened.advance(1000);
    const young = makeLayer(store, { size: 400_000 });
    const total = du(store).totalBytes + ownBytes(store);
    // What the index takes counts as well.
    expect((await prune(store, { removeTrees, maxBytes: total })).removed).toEqual([]);
    const some = await prune(store, { removeTrees, maxBytes: total - 1 });
    expect(some.removed.map(({ id }) => id)).toEqual([old]);
    expect((await prune(store, { removeTrees, minFreeBytes: 0 })).removed).toEqual([]);
    const lease = store.leases.create();
    lease.hold({ layers: [young] });
    const all = await prune(store, { removeTrees, maxBytes: 0 });
    expect(all.removed.map(({ id }) => id)).toEqual([internal]);
    expect(all.inUseBytes).toBe(400_000);
    lease.release();
    const { bavail, bsize } = fs.statfsSync(store.root);
    expect((await prune(store, { removeTrees, minFreeBytes: bavail * bsize * 2 })).removed).toHaveLength(1);
  });

  test('follows policies in their order, each with its own filter, time and size', async () => {
    using opened = openStore();
    const { store } = opened;
    const ids = { old: makeLayer(store, { size: 1000 }), mine: makeLayer(store, { size: 500 }) };
    opened.advance(60_000);
    const young = [makeLayer(store, { size: 300 })];
    opened.advance(1000);
    young.push(makeLayer(store, { size: 300 }));
    const policies = [
      { filter: ({ id }: UsageRecord) => id !== ids.mine, keepMs: 30_000 },
      { filter: ({ id }: UsageRecord) => young.includes(id), maxBytes: 400 },
      { maxBytes: 1e12 },
    ];
    expect(isLimited({ policies })).toBe(true);
    expect(isLimited({ policies: [] })).toBe(false);
    const reports = await keepWithin(store, { policies, maxBytes: 1e12, minFreeBytes: 1 }, { removeTrees });
    const gone = reports.map(({ removed }) => removed.map(({ id }) => id));
    expect(gone).toEqual([[ids.old], [young[0]], [], [], []]);
  });

  test('of equally old layers the upper ones go first, and a shared blob frees nothing until its last user goes', async () => {
    using opened = openStore();
    const { store } = opened;
    const base = makeLayer(store, { size: 10 });
    const top = makeLayer(store, { size: 10, parents: [base] });
    for (const id of [base, top]) addBlob(store, id, 'x'.repeat(80));
    const report = await prune(store, { removeTrees, keepStorageBytes: 95 });
    expect(report.removed.map(({ id }) => id)).toEqual([top]);
    expect(report.freedBytes).toBe(10);
    expect(store.layers.usable([base]) && store.blobs.verify(sha256('x'.repeat(80)))).toBe(true);
  });

  test('spares what was used lately and what the filter says no to', async () => {
    using opened = openStore();
    const { store } = opened;
    const [old, filtered] = [makeLayer(store), makeLayer(store)];
    opened.advance(60_000);
    const young = makeLayer(store);
    const report = await prune(store, { removeTrees, untilMs: 30_000, filter: ({ id }) => id !== filtered });
    expect(report.removed.map(({ id }) => id)).toEqual([old]);
    expect(layerIds(store).sort()).toEqual([filtered, young].sort());
  });

  test('the clock may jump to and fro (REL-14)', async () => {
    using opened = openStore();
    const { store } = opened;
    const id = makeLayer(store);
    using lease = store.leases.create();
    lease.hold({ layers: [id] });
    opened.advance(10 * 365 * 86_400_000);
    await prune(store, { removeTrees, all: true, untilMs: 1 });
    expect(store.layers.usable([id])).toBe(true);
    opened.advance(-20 * 365 * 86_400_000);
    lease.release();
    expect((await prune(store, { removeTrees, untilMs: 1000 })).removed, 'from the future').toEqual([]);
  });

  test('temporary files without an owner, and given-up indexes, go after a day', async () => {
    using opened = openStore(undefined, { now: Date.now() });
    const strays = ['ingest/stray', `index-${'0'.repeat(32)}.tmp`, 'index-3.sqlite', 'index-3.sqlite-wal'];
    for (const name of strays) fs.writeFileSync(`${opened.root}/${name}`, 'x');
    const left = (): string[] => strays.filter((name) => fs.existsSync(`${opened.root}/${name}`));
    await collectGarbage(opened.store, removeTrees);
    expect(left()).toEqual(strays);
    opened.advance(25 * 3_600_000);
    expect(await collectGarbage(opened.store, removeTrees)).toEqual({ removed: 4 });
    expect(left()).toEqual([]);
    expect(fs.existsSync(`${opened.root}/index.sqlite`)).toBe(true);
  });

  test('what a killed trial of the machine has left goes after a minute, and that of a running one does not', async () => {
    using opened = openStore(undefined, { now: Date.now() });
    for (const name of ['doctor-aB3xyZ', 'doctor-mine'])
      fs.mkdirSync(`${opened.root}/${name}/lower`, { recursive: true });
    const left = (): string[] => fs.readdirSync(opened.root).filter((name) => name.startsWith('doctor-'));
    await collectGarbage(opened.store, removeTrees);
    expect(left()).toHaveLength(2);
    opened.advance(61_000);
    expect(await collectGarbage(opened.store, removeTrees)).toEqual({ removed: 1 });
    expect(left()).toEqual(['doctor-mine']);
  });

  test('a failing removal of trees loses nothing: the next one does it', async () => {
    using opened = openStore();
    const { store } = opened;
    makeLayer(store);
    await expect(prune(store, { removeTrees: () => Promise.reject(new Error('worker died')) })).rejects.toThrow(
      'worker died',
    );
    expect(fs.readdirSync(store.layout.garbage)).toHaveLength(1);
    expect((await check(store)).problems).toEqual([]);
    await collectGarbage(store, removeTrees);
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  });
});

describe('what prune says', () => {
  test('a dry run names what the prune after it takes, with the same total, and changes nothing', async () => {
    using opened = openStore();
    const { store } = opened;
    const ids = [makeLayer(store, { size: 100 }), makeLayer(store, { size: 50 })];
    for (const id of ids) addBlob(store, id, 'one blob of both');
    const said: unknown[] = [];
    const onChosen = (records: readonly UsageRecord[], bytes: number): Promise<void> => {
      said.push([records.map(({ id }) => id).sort(), bytes, store.layers.usable(ids)]);
      return Promise.resolve();
    };
    const dry = await prune(store, { removeTrees, dryRun: true, onChosen });
    expect(store.layers.usable(ids)).toBe(true);
    const real = await prune(store, { removeTrees, onChosen });
    expect(real).toEqual(dry);
    expect(real.freedBytes).toBe(150 + 'one blob of both'.length);
    // Both times before anything was gone.
    expect(said).toEqual(Array.from({ length: 2 }, () => [ids.toSorted(), real.freedBytes, true]));
  });

  test('what a record was used for lately stays with all that it stands on', async () => {
    using opened = openStore();
    const { store } = opened;
    const base = makeLayer(store);
    const top = makeLayer(store, { parents: [base] });
    const other = makeLayer(store);
    addRecord(store, 'r', [base, top]);
    opened.advance(48 * 3_600_000);
    store.records.at('node of r');
    const report = await prune(store, { removeTrees, untilMs: 24 * 3_600_000 });
    expect(report.removed.map(({ id }) => id)).toEqual([other]);
    expect(store.records.get('r')?.layers).toEqual([base, top]);
  });
});

test('the index shrinks when much of it was pruned', async () => {
  using opened = openStore();
  const { store, root } = opened;
  const size = (): number =>
    fs.statSync(join(root, 'index.sqlite')).size +
    (fs.statSync(join(root, 'index.sqlite-wal'), { throwIfNoEntry: false })?.size ?? 0);
  using lease = store.leases.create();
  for (let n = 0; n < 3000; n++)
    store.layers.create({ parents: [], description: `layer ${n} ${'x'.repeat(200)}` }, lease);
  lease.release();
  store.database().exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const before = size();
  expect(before).toBeGreaterThan(1 << 20);
  await prune(store, { removeTrees, all: true });
  expect(size()).toBeLessThan(before / 4);
  expect(store.database().integrity()).toEqual([]);
});
