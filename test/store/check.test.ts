import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check, type Store } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { makeLayer, openStore, putImage, removeTrees } from './support.ts';

interface Filled {
  readonly withBlob: string;
  readonly onlyDirectory: string;
}

function fill(store: Store): Filled {
  const [withBlob, onlyDirectory] = [makeLayer(store), makeLayer(store)];
  const blob = store.blobs.put('layer blob');
  store.layers.addBlob(withBlob, {
    compression: 'none',
    descriptor: { mediaType: mediaTypes.ociLayer, ...blob },
    diffId: blob.digest,
  });
  putImage(store, 'docker.io/library/a:1', ['image layer']);
  const layers = [withBlob, onlyDirectory];
  store.records.add({ id: 'r', node: 'n', layers, blobs: [], createdAt: 1 });
  return { withBlob, onlyDirectory };
}

function overwrite(path: string, change: (bytes: Buffer) => Buffer): void {
  const bytes = fs.readFileSync(path);
  fs.rmSync(path);
  fs.writeFileSync(path, change(bytes), { mode: 0o444 });
}

type Damage = readonly [string, (store: Store, filled: Filled) => void, readonly string[]];

const DAMAGES: readonly Damage[] = [
  [
    'a flipped bit in a layer blob',
    (store) =>
      overwrite(store.blobs.path(sha256('layer blob')), (bytes) => {
        bytes[3] = (bytes[3] ?? 0) ^ 4;
        return bytes;
      }),
    ['blob-digest', 'layer-blob-missing'],
  ],
  [
    'a truncated blob of an image',
    (store) => overwrite(store.blobs.path(sha256('image layer')), (bytes) => bytes.subarray(0, 3)),
    ['blob-digest', 'image-blob-missing'],
  ],
  [
    'an empty manifest',
    (store) =>
      overwrite(store.blobs.path(store.images.list()[0]?.descriptor.digest ?? sha256('')), () => Buffer.alloc(0)),
    ['blob-digest', 'image-blob-missing'],
  ],
  [
    'a blob that is a directory',
    (store) => {
      fs.rmSync(store.blobs.path(sha256('layer blob')));
      fs.mkdirSync(store.blobs.path(sha256('layer blob')));
    },
    ['blob-digest', 'layer-blob-missing'],
  ],
  ['a deleted blob of a layer', (store) => store.blobs.remove(sha256('layer blob')), ['layer-blob-missing']],
  ['a deleted blob of an image', (store) => store.blobs.remove(sha256('image layer')), ['image-blob-missing']],
  ['a stranger among the blobs', (store) => fs.writeFileSync(join(store.layout.blobs, 'x'), ''), ['blob-name']],
  [
    'a deleted layer directory',
    (store, { onlyDirectory }) => fs.rmSync(store.layers.paths(onlyDirectory).dir, { recursive: true }),
    ['layer-directory-missing', 'layer-empty'],
  ],
  [
    'a layer directory that is a file',
    (store, { onlyDirectory }) => {
      fs.rmSync(store.layers.paths(onlyDirectory).dir, { recursive: true });
      fs.writeFileSync(store.layers.paths(onlyDirectory).dir, '');
    },
    ['layer-directory-missing', 'layer-empty'],
  ],
  [
    'a deleted row',
    (store, { onlyDirectory }) => store.database().prepare('DELETE FROM layers WHERE id = ?').run(onlyDirectory),
    ['orphan-directory', 'record-dangling'],
  ],
  ['a damaged image file', (store) => fs.writeFileSync(store.images.files()[0] ?? '', '{'), ['image-malformed']],
  [
    'an image file in the wrong place',
    (store) => fs.copyFileSync(store.images.files()[0] ?? '', join(store.layout.images, `${'0'.repeat(64)}.json`)),
    ['image-malformed'],
  ],
  [
    'a manifest that is none',
    (store) => store.images.put('b', { mediaType: 'x', ...store.blobs.put('[1]') }),
    ['image-blob-missing'],
  ],
  ['a stranger among the snapshots', (store) => fs.mkdirSync(join(store.layout.snapshots, 'x')), ['orphan-directory']],
  [
    'a temporary file of a dead session',
    (store) => {
      fs.mkdirSync(join(store.layout.ingest, 'dead'));
      fs.writeFileSync(join(store.layout.ingest, 'dead', 'x'), '');
    },
    ['orphan-ingest'],
  ],
];

describe('check', () => {
  test('finds nothing in a sound store', async () => {
    using opened = openStore();
    fill(opened.store);
    const steps: string[] = [];
    const report = await check(opened.store, { onProgress: (done, total) => steps.push(`${done}/${total}`) });
    expect(report).toMatchObject({ problems: [], blobs: 4, layers: 2 });
    expect(steps).toEqual(['0/4', '1/4', '2/4', '3/4', '4/4']);
  });

  test.each(DAMAGES)('finds and repairs %s', async (_name, damage, kinds) => {
    using opened = openStore();
    const { store } = opened;
    const filled = fill(store);
    damage(store, filled);
    const blobs = [...store.blobs.list()];
    const found = await check(store);
    expect(found.problems.map(({ kind }) => kind)).toEqual(expect.arrayContaining([...kinds]));
    expect(found.problems.every(({ repaired, message }) => !repaired && message.length > 10)).toBe(true);
    expect([...store.blobs.list()], 'nothing is changed without repair').toEqual(blobs);
    const repaired = await check(store, { repair: true, removeTrees });
    expect(repaired.problems.every((problem) => problem.repaired)).toBe(true);
    expect((await check(store)).problems).toEqual([]);
    await collectGarbage(store, removeTrees);
    expect((await check(store)).problems).toEqual([]);
    expect(opened.warnings).toEqual([]);
  });

  test('what a lease holds is not called an orphan', async () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    store.layers.prepareDirectory(store.layers.create({ parents: [] }, lease));
    using writer = store.blobs.ingest();
    writer.write(Buffer.from('x'));
    expect((await check(store, { repair: true, removeTrees })).problems).toEqual([]);
    writer.commit();
  });

  test('a layer of an image that was never fetched is no fault', async () => {
    using opened = openStore();
    const { store } = opened;
    {
      using lease = store.leases.create();
      const id = store.layers.create({ parents: [], type: 'source.image' }, lease);
      const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: sha256('remote'), size: 6 };
      store.layers.addBlob(id, { compression: 'gzip', descriptor, diffId: sha256('diff') });
    }
    expect((await check(store, { repair: true, removeTrees })).problems).toEqual([]);
    expect(store.layers.list()).toHaveLength(1);
  });

  test('stops when it is told to', async () => {
    using opened = openStore();
    fill(opened.store);
    const reason = new Error('interrupted');
    await expect(check(opened.store, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
