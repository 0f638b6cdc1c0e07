import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { chainIds, check, prune } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { makeLayer, openStore, removeTrees, tempRoot } from './support.ts';

const blobOf = (content: string) =>
  ({
    compression: 'gzip',
    descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(content), size: content.length },
    diffId: sha256(`diff of ${content}`),
  }) as const;

describe('layers', () => {
  test('a layer is usable once it has a directory or a blob', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const id = store.layers.create({ parents: ['a'.repeat(64)], type: 'regular', description: 'RUN make' }, lease);
    expect(store.layers.usable([id])).toBe(false);
    const paths = store.layers.prepareDirectory(id);
    expect(fs.readdirSync(paths.fs)).toEqual([]);
    expect(store.layers.usable([id])).toBe(false);
    opened.advance(5);
    store.layers.setFs(id, { bytes: 12, inodes: 3 });
    expect(store.layers.get(id)).toEqual({
      id,
      beneath: expect.any(String) as string,
      parents: ['a'.repeat(64)],
      fs: true,
      blobs: [],
      type: 'regular',
      description: 'RUN make',
      bytes: 12,
      inodes: 3,
      createdAt: 1_700_000_000_000,
      usedAt: 1_700_000_000_000,
    });
    expect(store.layers.usable([id])).toBe(true);
    expect(store.layers.usable([id, 'f'.repeat(64)])).toBe(false);
    expect(() => store.layers.prepareDirectory(id)).toThrow(/it is complete/);
  });

  test('a layer is of use while a blob of it is there, whole and of the right diff id', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const id = store.layers.create({ parents: [] }, lease);
    store.layers.addBlob(id, blobOf('content'));
    expect(store.layers.usable([id])).toBe(false);
    store.blobs.put('content');
    expect(store.layers.usable([id])).toBe(true);
    fs.chmodSync(store.blobs.path(sha256('content')), 0o600);
    fs.truncateSync(store.blobs.path(sha256('content')), 2);
    expect(store.layers.usable([id])).toBe(false);
    expect(() => store.layers.addBlob(id, { ...blobOf('other'), diffId: sha256('other diff') })).toThrow(
      expect.objectContaining({ code: 'TSB_DIGEST' }),
    );
  });

  test('creating an id that is there keeps it', () => {
    using opened = openStore();
    const id = 'c'.repeat(64);
    makeLayer(opened.store, { id, size: 10 });
    using lease = opened.store.leases.create();
    expect(opened.store.layers.create({ id, parents: ['d'.repeat(64)] }, lease)).toBe(id);
    expect(opened.store.layers.get(id)).toMatchObject({ fs: true, parents: [], bytes: 10 });
  });

  test.each(['', '..', 'a/b', 'A'.repeat(64), 'a'.repeat(31), 'sha256:x', 'a'.repeat(65)])(
    'the id %j never becomes a path',
    (id) => {
      using opened = openStore();
      using lease = opened.store.leases.create();
      expect(() => opened.store.layers.create({ id, parents: [] }, lease)).toThrow(/not a layer id/);
      expect(() => opened.store.layers.paths(id)).toThrow(/not a layer id/);
    },
  );

  test('leftovers of a killed process are not mixed into the next try', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const id = store.layers.create({ parents: [] }, lease);
    fs.writeFileSync(`${store.layers.prepareDirectory(id).fs}/half`, 'x');
    expect(fs.readdirSync(store.layers.prepareDirectory(id).fs)).toEqual([]);
  });

  test('a directory that was not synced is not used after a reboot, nor its record', async () => {
    const root = tempRoot();
    let unsynced = '';
    let synced = '';
    let withBlob = '';
    {
      using before = openStore(root, { bootId: 'boot-1' });
      const { store } = before;
      unsynced = makeLayer(store);
      synced = makeLayer(store, { synced: true });
      const later = makeLayer(store);
      withBlob = makeLayer(store);
      store.blobs.put('content');
      store.layers.addBlob(withBlob, blobOf('content'));
      expect([...store.layers.unsynced()].sort()).toEqual([unsynced, later, withBlob].sort());
      store.layers.markSynced([later]);
      expect(store.layers.usable([unsynced, synced, later, withBlob])).toBe(true);
      synced = later;
    }
    using after = openStore(root, { bootId: 'boot-2' });
    const { store } = after;
    expect(store.layers.usable([unsynced])).toBe(false);
    expect(store.layers.usable([synced])).toBe(true);
    expect(store.layers.get(withBlob)).toMatchObject({ fs: false, bytes: 0 });
    expect(store.layers.usable([withBlob])).toBe(true);
    await collectGarbage(store, removeTrees);
    expect(store.layers.get(unsynced)).toBeUndefined();
    expect(fs.existsSync(store.layers.paths(unsynced).dir)).toBe(false);
    expect(fs.existsSync(store.layers.paths(withBlob).dir)).toBe(false);
    expect(fs.existsSync(store.layers.paths(synced).dir)).toBe(true);
    // Made again from its blob, it counts as a directory of this boot.
    store.layers.prepareDirectory(withBlob);
    store.layers.setFs(withBlob, { bytes: 1, inodes: 1 });
    expect(store.layers.get(withBlob)?.fs).toBe(true);
  });

  test('a directory that was not measured counts as long as its maker lives', async () => {
    const root = tempRoot();
    using opened = openStore(root);
    const { store } = opened;
    const ids: string[] = [];
    {
      using maker = openStore(root);
      using lease = maker.store.leases.create();
      for (const name of ['measured', 'unmeasured', 'with a blob']) {
        const id = maker.store.layers.create({ parents: [], description: name }, lease);
        maker.store.layers.prepareDirectory(id);
        maker.store.layers.setFs(id, { bytes: 0, inodes: 0 });
        ids.push(id);
      }
      const [measured = '', , withBlob = ''] = ids;
      maker.store.layers.addBlob(withBlob, blobOf('content'));
      maker.store.blobs.put('content');
      maker.store.layers.setStamps([[measured, { bytes: 7, inodes: 2, stamp: '1.2.3' }]]);
      expect(ids.map((id) => store.layers.get(id))).toMatchObject([
        { fs: true, stamp: '1.2.3', bytes: 7 },
        { fs: true },
        { fs: true },
      ]);
    }
    expect(ids.map((id) => store.layers.get(id)?.fs)).toEqual([true, false, false]);
    expect(ids.map((id) => store.layers.usable([id]))).toEqual([true, false, true]);
    const kinds = async (repair: boolean): Promise<unknown> =>
      (await check(store, { repair, removeTrees })).problems.map(({ kind, harmless, subject }) => [
        kind,
        harmless,
        ids.indexOf(subject),
      ]);
    const found = [
      ['layer-unmeasured', true, 1],
      ['layer-empty', true, 1],
      ['layer-unmeasured', true, 2],
    ];
    expect(await kinds(false)).toEqual(expect.arrayContaining(found));
    expect(await kinds(true)).toHaveLength(found.length);
    expect(await kinds(false)).toEqual([]);
    // What was measured too late is not believed.
    store.layers.setStamps([[ids[2] ?? '', { bytes: 1, inodes: 1, stamp: '4.5.6' }]]);
    expect(store.layers.get(ids[2] ?? '')).toMatchObject({ fs: false, bytes: 0 });
  });

  test('the time of last use is kept', () => {
    const root = tempRoot();
    using opened = openStore(root);
    const id = makeLayer(opened.store);
    opened.advance(1000);
    opened.store.layers.touch([id]);
    expect(opened.store.layers.get(id)?.usedAt).toBe(1_700_000_001_000);
    opened.store.close();
    using again = openStore(root);
    expect(again.store.layers.get(id)?.usedAt).toBe(1_700_000_001_000);
  });

  test('chain ids follow the image spec', () => {
    const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')] as const;
    expect(chainIds([a, b, c])).toEqual([a, sha256(`${a} ${b}`), sha256(`${sha256(`${a} ${b}`)} ${c}`)]);
    expect(chainIds([])).toEqual([]);
  });
});

describe('images and cache mounts', () => {
  test('images are put, listed by name, replaced and removed', () => {
    using opened = openStore();
    const { images } = opened.store;
    const descriptor = (text: string) => ({ mediaType: mediaTypes.ociManifest, digest: sha256(text), size: 1 });
    images.put('docker.io/library/b:1', descriptor('b'));
    images.put('docker.io/library/a:1', descriptor('a'));
    images.put('docker.io/library/b:1', { ...descriptor('b2'), annotations: { x: 'y' } });
    expect(images.list().map(({ name }) => name)).toEqual(['docker.io/library/a:1', 'docker.io/library/b:1']);
    expect(images.get('docker.io/library/b:1')?.descriptor).toEqual({ ...descriptor('b2'), annotations: { x: 'y' } });
    expect(images.remove('docker.io/library/b:1')).toBe(true);
    expect(images.remove('docker.io/library/b:1')).toBe(false);
    expect(images.get('docker.io/library/b:1')).toBeUndefined();
  });

  test('a cache mount keeps its files from build to build', () => {
    using opened = openStore();
    const { mounts, leases } = opened.store;
    using lease = leases.create();
    const first = mounts.ensure('project/../npm', lease, 'npm cache');
    expect(first.created).toBe(true);
    expect(first.path.startsWith(`${opened.root}/mounts/`)).toBe(true);
    fs.writeFileSync(`${first.path}/file`, 'x');
    mounts.setUsage('project/../npm', { bytes: 1, inodes: 2 });
    opened.advance(10);
    expect(mounts.ensure('project/../npm', lease)).toEqual({ id: first.id, path: first.path, created: false });
    expect(mounts.list()).toMatchObject([
      { id: 'project/../npm', description: 'npm cache', bytes: 1, usedAt: 1_700_000_000_010 },
    ]);
    expect(mounts.ensure('project/npm', lease).path).not.toBe(first.path);
  });

  test('a retired cache mount is a new one for whoever asks next; who uses it keeps it until the next prune', async () => {
    using opened = openStore();
    const { mounts, leases } = opened.store;
    using other = leases.create();
    const used = mounts.ensure('npm', other, 'npm');
    fs.writeFileSync(`${used.path}/kept`, 'x');
    const open = fs.openSync(used.path, fs.constants.O_DIRECTORY);
    {
      using gone = leases.create();
      mounts.ensure('npm#base', gone, 'npm');
    }
    mounts.retire('npm');
    using lease = leases.create();
    const fresh = mounts.ensure('npm', lease, 'npm');
    expect(fresh.created).toBe(true);
    expect(fs.readdirSync(fresh.path)).toEqual([]);
    await collectGarbage(opened.store, removeTrees);
    expect(fs.readFileSync(`/proc/self/fd/${open}/kept`, 'utf8')).toBe('x');
    expect(mounts.get('npm#base')).toBeUndefined();
    expect(fs.existsSync(mounts.directory('npm#base'))).toBe(false);
    fs.closeSync(open);
    other.release();
    await prune(opened.store, { removeTrees });
    expect(mounts.list().map(({ id }) => id)).toEqual(['npm']);
    expect(fs.readdirSync(`${opened.root}/mounts`)).toHaveLength(1);
  });
});
