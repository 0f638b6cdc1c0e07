import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIndexCache } from '../../src/cache/index.ts';
import { check, Store, type StoreWarning } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import type { Task } from '../../src/events/index.ts';
import { openStore, putImage, removeTrees, tempRoot } from './support.ts';

const task: Task = { signal: new AbortController().signal, events: () => {} };
const op = sha256('op');

interface Told {
  readonly results: readonly (readonly string[] | undefined)[];
  readonly warnings: readonly StoreWarning[];
  readonly facts: readonly unknown[];
  readonly layers: readonly unknown[];
}

/** Whatever is damaged may be missing, but not different. An index that was given up knows no layer, since no image names these. */
function expectRightOrNothing(found: Told, right: Told): void {
  found.results.forEach((result, index) => expect([undefined, right.results[index]]).toContainEqual(result));
  found.facts.forEach((fact, index) => expect([undefined, right.facts[index]]).toContainEqual(fact));
  for (const layer of found.layers) expect(right.layers.map(bare)).toContainEqual(bare(layer));
}

/** What a store tells of the builds that `fill` put there: results by key. */
async function told(root: string): Promise<Told> {
  const warnings: StoreWarning[] = [];
  using store = Store.open(root, { now: () => 5_000, bootId: 'boot', onWarning: (warning) => warnings.push(warning) });
  using lease = store.leases.create();
  const cache = cacheOf(store, lease);
  const results = [];
  for (const name of NAMES) {
    const nodes = cache.query([{ from: name, op, input: 0, output: 0 }]);
    const records = nodes.flatMap((node) => cache.records(node));
    let result: readonly string[] | undefined;
    for (const record of records) result ??= await cache.load(task, record).catch(() => undefined);
    results.push(result);
  }
  const facts = NAMES.map((name) => store.facts.get('fact', name)?.value);
  const layers = store.layers
    .list()
    .map(({ id, parents, diffId, blobs, fs: directory }) => ({ id, parents, diffId, blobs, directory }));
  return { results, warnings, facts, layers };
}

const NAMES = ['a', 'b', 'c', 'd'];

function cacheOf(
  store: Store,
  lease: ReturnType<Store['leases']['create']>,
): ReturnType<typeof createIndexCache<readonly string[]>> {
  return createIndexCache<readonly string[]>(store, {
    lease,
    codec: { encode: (layers) => ({ layers }), decode: (layers) => layers },
  });
}

/** A store with four chains of results, each layer with directory and blob. */
function fill(root: string): void {
  using store = Store.open(root, { now: () => 1_000, bootId: 'boot' });
  using lease = store.leases.create();
  const cache = cacheOf(store, lease);
  const layers: string[] = [];
  for (const [index, name] of NAMES.entries()) {
    const id = store.layers.create(
      { id: String(index + 1).repeat(32), parents: [...layers], description: name },
      lease,
    );
    store.layers.prepareDirectory(id);
    store.layers.setFs(id, { bytes: 1, inodes: 1, synced: true, stamp: `1.2.${index}` });
    const blob = store.blobs.put(`blob of ${name}`);
    store.layers.addBlob(id, {
      compression: 'gzip',
      diffId: sha256(`diff of ${name}`),
      descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...blob },
    });
    layers.push(id);
    cache.link(`node ${name}`, [{ from: name, op, input: 0, output: 0 }]);
    cache.save(`node ${name}`, [...layers]);
    store.facts.put('fact', name, { is: name });
  }
}

/** A store, the bytes of its index, and what it tells. */
async function filled(): Promise<{ readonly root: string; readonly whole: Buffer; readonly right: Told }> {
  const root = tempRoot();
  fill(root);
  const path = join(root, 'index.sqlite');
  checkpoint(path);
  const whole = fs.readFileSync(path);
  return { root, whole, right: await told(root) };
}

describe('a damaged index', () => {
  test('of which any byte was changed tells what is right or nothing, and the store goes on', async () => {
    const { root, whole, right } = await filled();
    expect(right.results.map((result) => result?.length)).toEqual([1, 2, 3, 4]);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        restore(root, damaged);
        expectRightOrNothing(await told(root), right);
      }),
      { numRuns: 150 },
    );
  });

  // An index of a table is a copy of some columns: one that is damaged leads to a row that is sound, and another than was asked for.
  test('of which any name of a node became that of another', async () => {
    const { root, whole, right } = await filled();
    let changes = 0;
    for (const name of NAMES)
      for (const other of NAMES.filter((one) => one !== name))
        for (let at = whole.indexOf(`node ${name}`); at >= 0; at = whole.indexOf(`node ${name}`, at + 1)) {
          const damaged = Buffer.from(whole);
          damaged.write(`node ${other}`, at);
          restore(root, damaged);
          expectRightOrNothing(await told(root), right);
          // What was mended, if it could be, is as right.
          expectRightOrNothing(await told(root), right);
          changes++;
        }
    // Two tables and the index of each.
    expect(changes).toBe(4 * NAMES.length * (NAMES.length - 1));
  });

  test.each(['layers', 'records', 'facts', 'links', 'stacks'])(
    'whose schema of %s was changed is given up',
    async (table) => {
      const { root, whole } = await filled();
      const text = whole.toString('latin1');
      const at = text.indexOf(`CREATE TABLE ${table} (`) + `CREATE TABLE ${table} (\n  `.length;
      const damaged = Buffer.from(text, 'latin1');
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      restore(root, damaged);
      const { warnings } = await told(root);
      expect(warnings.map(({ code }) => code)).toContain('index-rebuilt');
    },
  );

  test.each([
    ['layers', "parents = 'x'"],
    ['layers', "diff_id = 'sha256:00'"],
    ['layers', "id = '99999999999999999999999999999999' WHERE description = 'b'"],
    ['layers', 'fs = 0'],
    ['layer_blobs', 'size = size + 1'],
    ['layer_blobs', "compression = 'zstd'"],
    ['layer_blobs', "media_type = ''"],
    ['stacks', "layer = '11111111111111111111111111111111' WHERE layer LIKE '2%'"],
    ['links', "node = 'node a' WHERE node = 'node b'"],
    ['links', 'input = 1'],
    ['records', "stack = ''"],
    ['records', "node = 'node a'"],
    ['facts', 'value = \'{"is":"else"}\' WHERE kind = \'fact\''],
  ])('where %s were set to %s: a warning, no wrong result, and check finds and mends it', async (table, change) => {
    const root = tempRoot();
    fill(root);
    const right = await told(root);
    edit(root, `UPDATE OR REPLACE ${table} SET ${change}`);
    const warnings: StoreWarning[] = [];
    using store = Store.open(root, {
      now: () => 5_000,
      bootId: 'boot',
      onWarning: (warning) => warnings.push(warning),
    });
    const before = await check(store);
    expect(before.problems.map(({ kind }) => kind)).toContain('index-row-damaged');
    store.close();
    expectRightOrNothing(await told(root), right);
    using again = Store.open(root, { now: () => 5_000, bootId: 'boot' });
    await check(again, { repair: true, removeTrees });
    expect((await check(again)).problems).toEqual([]);
  });
});

/** Which forms a layer has may be less than it was. */
function bare(layer: unknown): unknown {
  const { id, parents, diffId } = layer as {
    readonly id: string;
    readonly parents: readonly string[];
    readonly diffId: string;
  };
  return { id, parents, diffId };
}

function checkpoint(path: string): void {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

function edit(root: string, sql: string): void {
  const db = new DatabaseSync(join(root, 'index.sqlite'));
  db.exec(sql);
  db.close();
}

function restore(root: string, index: Buffer): void {
  for (const name of fs.readdirSync(root)) if (/^index.*sqlite/.test(name)) fs.rmSync(join(root, name));
  fs.writeFileSync(join(root, 'index.sqlite'), index);
  fs.writeFileSync(join(root, 'store.json'), header);
}

const header = (() => {
  const root = tempRoot();
  Store.open(root, { now: () => 1 }).close();
  return fs.readFileSync(join(root, 'store.json'));
})();

test('the name of an image is given again where a directory stands in the place of its file', async () => {
  using opened = openStore();
  const { store } = opened;
  const name = 'docker.io/library/a:1';
  putImage(store, name, ['layer']);
  const path = store.images.file(name)?.path ?? '';
  fs.rmSync(path);
  fs.mkdirSync(join(path, 'sub'), { recursive: true });
  expect(store.images.get(name)).toBeUndefined();
  const descriptor = putImage(store, name, ['layer']);
  expect(store.images.get(name)?.descriptor).toEqual(descriptor);
  expect((await check(store)).problems).toEqual([]);
});
