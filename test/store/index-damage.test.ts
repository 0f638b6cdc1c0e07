import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chainIds, check, prune } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { hexOf, sha256 } from '../../src/util/index.ts';
import {
  ended,
  makeLayer,
  openStore,
  printed,
  putImage,
  realBootId,
  removeTrees,
  runUser,
  startUser,
  tempRoot,
} from './support.ts';

/** A store with an image of two layers, a layer of its own and a cache mount. */
function filledStore(): { root: string; image: readonly string[]; own: string } {
  const root = tempRoot();
  using opened = openStore(root);
  const { store } = opened;
  putImage(store, 'docker.io/library/a:1', ['layer one', 'layer two']);
  using lease = store.leases.create();
  const { path } = store.mounts.ensure('npm', lease);
  fs.writeFileSync(join(path, 'kept'), 'x');
  // Enough rows for an index of many pages.
  for (let number = 0; number < 300; number++)
    store.layers.create({ parents: [], description: 'x'.repeat(200) }, lease);
  const image = chainIds([sha256('layer one'), sha256('layer two')]).map(hexOf);
  return { root, image, own: makeLayer(store) };
}

const DAMAGE: readonly (readonly [string, (path: string) => void])[] = [
  ['empty', (path) => fs.writeFileSync(path, '')],
  ['garbage', (path) => fs.writeFileSync(path, Buffer.alloc(50_000, 'garbage'))],
  ['truncated to half a page', (path) => fs.truncateSync(path, 2000)],
  ['truncated to some pages', (path) => fs.truncateSync(path, 4096 * 3)],
  ['deleted', (path) => fs.rmSync(path)],
  [
    'a directory',
    (path) => {
      fs.rmSync(path);
      fs.mkdirSync(path);
    },
  ],
  ['overwritten in its header', (path) => overwrite(path, 0)],
  ['overwritten in its schema', (path) => overwrite(path, 100)],
  ['of another version', (path) => overwrite(path, 60, 4)],
];

function overwrite(path: string, position: number, length = 60): void {
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, Buffer.alloc(length, 0x5a), 0, length, position);
  fs.closeSync(fd);
}

describe('a damaged index', () => {
  test.each(DAMAGE)('that is %s is replaced, and what the files tell is found again (REL-31)', async (name, damage) => {
    const { root, image, own } = filledStore();
    damage(join(root, 'index.sqlite'));
    for (const suffix of ['-wal', '-shm']) fs.rmSync(join(root, `index.sqlite${suffix}`), { force: true });
    using opened = openStore(root);
    const { store } = opened;
    // Use of every table, in case the damage shows late.
    store.layers.list();
    if (!['empty', 'deleted'].includes(name))
      expect(opened.warnings).toMatchObject([
        { code: 'index-rebuilt', message: /index "index.sqlite" (was damaged|is of another version)/ },
      ]);
    expect(store.images.list().map((one) => one.name)).toEqual(['docker.io/library/a:1']);
    expect(store.layers.usable(image)).toBe(true);
    expect(store.layers.get(image[1] ?? '')).toMatchObject({ parents: [image[0]], diffId: sha256('layer two') });
    expect(store.mounts.list().map(({ id }) => id)).toEqual(['npm']);
    expect(store.layers.get(own)).toBeUndefined();
    await collectGarbage(store, removeTrees);
    expect(fs.existsSync(store.layers.paths(own).dir)).toBe(false);
    expect(fs.existsSync(join(store.mounts.directory('npm'), 'fs', 'kept'))).toBe(true);
    expect((await check(store)).problems).toEqual([]);
    opened.store.close();
    using again = openStore(root);
    expect(again.store.layers.usable(image)).toBe(true);
    expect(again.warnings).toEqual([]);
  });

  test('damage that shows in the middle of a build does not end it', () => {
    const { root, image } = filledStore();
    const size = fs.statSync(join(root, 'index.sqlite')).size;
    for (let page = 1; page * 4096 < size; page++) overwrite(join(root, 'index.sqlite'), page * 4096, 4096);
    using opened = openStore(root);
    const { store } = opened;
    const lease = store.leases.create();
    const id = store.layers.create({ parents: [] }, lease);
    const paths = store.layers.prepareDirectory(id);
    fs.writeFileSync(join(paths.fs, 'file'), 'x');
    store.layers.setFs(id, { bytes: 1, inodes: 2 });
    expect(opened.warnings).toMatchObject([{ code: 'index-rebuilt' }]);
    expect(store.layers.usable([id, ...image])).toBe(true);
    expect(store.leases.holds('layer', id)).toBe(true);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'a flipped bit (seed %i) gives right rows, a new index or an error, never a crash',
    async (seed) => {
      const { root, image } = filledStore();
      const path = join(root, 'index.sqlite');
      const bytes = fs.readFileSync(path);
      let state = seed * 2_654_435_761;
      for (let flip = 0; flip < 40; flip++) {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        const position = state % bytes.length;
        bytes[position] = (bytes[position] ?? 0) ^ (1 << (state >>> 29));
      }
      fs.writeFileSync(path, bytes);
      using opened = openStore(root);
      await check(opened.store, { repair: true, removeTrees });
      expect((await check(opened.store)).problems).toEqual([]);
      expect(opened.store.images.list()).toHaveLength(1);
      expect(opened.store.blobs.verify(sha256('layer one'))).toBe(true);
      expect(image).toHaveLength(2);
    },
  );

  test('several processes that find it at once agree on the new one', async () => {
    const { root } = filledStore();
    fs.writeFileSync(join(root, 'index.sqlite'), 'x'.repeat(10_000));
    const results = await Promise.all(['a', 'b', 'c', 'd'].map((seed) => runUser(['build', root, seed])));
    for (const result of results) expect(result.code, result.stderr).toBe(0);
    expect(fs.readdirSync(root).filter((name) => /^index.*sqlite$/.test(name))).toEqual([
      'index-1.sqlite',
      'index.sqlite',
    ]);
    using opened = openStore(root, { bootId: realBootId });
    expect(opened.store.layers.list().filter(({ fs }) => fs)).toHaveLength(4);
    await collectGarbage(opened.store, removeTrees);
    expect((await check(opened.store)).problems).toEqual([]);
  });

  test('while a build of before still runs, nothing is removed', async () => {
    const { root, own } = filledStore();
    const child = startUser(['hold', root, own]);
    await printed(child, 'ready');
    fs.writeFileSync(join(root, 'store.json'), '{"format":1,"index":"index-7.sqlite"}');
    using opened = openStore(root);
    const garbage = await collectGarbage(opened.store, removeTrees);
    expect(garbage.skipped).toMatch(/still running/);
    expect((await prune(opened.store, { removeTrees, all: true })).removed).toEqual([]);
    expect(fs.existsSync(opened.store.layers.paths(own).dir)).toBe(true);
    child.kill('SIGKILL');
    await ended(child);
    expect((await collectGarbage(opened.store, removeTrees)).skipped).toBeUndefined();
    expect(fs.existsSync(opened.store.layers.paths(own).dir)).toBe(false);
  });
});
