import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { CachedLayer } from '../../src/remote-cache/index.ts';
import { LayerService } from '../../src/snapshots/index.ts';
import { type Digest, isTsbuildError, sha256, TsbuildError } from '../../src/util/index.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { resolved } from '../fakes/image.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore } from '../store/support.ts';
import { tar, testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';

/** A service on a store of its own, with a worker that only handles plain files. */
function setUp() {
  const opened = openStore();
  const { store } = opened;
  const worker = new FakeWorker(store);
  let started = 0;
  const lease = store.leases.create();
  const layers = new LayerService({
    store,
    lease,
    worker: () => {
      started++;
      return Promise.resolve(worker);
    },
    onWarning: () => undefined,
  });
  return {
    ...opened,
    worker,
    lease,
    layers,
    get workersStarted() {
      return started;
    },
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}

const twoLayers = testImage({ layers: [[{ name: 'a', content: 'A' }], [{ name: 'b', content: 'B' }]] });

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Lets everything that is ready happen. */
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 5));

describe('layers of an image', () => {
  test('are fetched and unpacked when their files are needed, and not before', async () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const ids = kit.layers.adopt(image);
    expect(kit.layers.available(ids)).toBe(true);
    expect(image.fetched).toEqual([]);
    expect(kit.workersStarted).toBe(0);
    const dirs = await kit.layers.directories(testTask(), ids);
    expect(dirs.map((dir) => fs.readdirSync(dir))).toEqual([['a'], ['b']]);
    expect(image.fetched).toHaveLength(2);
    await kit.layers.directories(testTask(), ids);
    expect(kit.worker.count('applyLayer')).toBe(2);
  });

  test('are unpacked once for all who ask at a time', async () => {
    using kit = setUp();
    const ids = kit.layers.adopt(resolved(kit.store, twoLayers));
    const all = await Promise.all([1, 2, 3].map(() => kit.layers.directories(testTask(), ids)));
    expect(new Set(all.map((dirs) => dirs.join())).size).toBe(1);
    expect(kit.worker.count('applyLayer')).toBe(2);
  });

  test('are there for who still wants them when who asked first is canceled', async () => {
    using kit = setUp();
    const ids = kit.layers.adopt(resolved(kit.store, twoLayers));
    const usual = kit.worker.on.applyLayer;
    const gate = Promise.withResolvers<void>();
    kit.worker.on.applyLayer = () => gate.promise;
    const first = testTask();
    const canceled = failure(kit.layers.directories(first, ids));
    await settle();
    expect(kit.worker.count('applyLayer')).toBe(2);
    const second = kit.layers.directories(testTask(), ids);
    await settle();
    if (usual) kit.worker.on.applyLayer = usual;
    else delete kit.worker.on.applyLayer;
    first.controller.abort(new TsbuildError('TSB_CANCELED', 'nobody needs it'));
    expect(isTsbuildError(await canceled, 'TSB_CANCELED')).toBe(true);
    const dirs = await second;
    expect(dirs.map((dir) => fs.readdirSync(dir))).toEqual([['a'], ['b']]);
  });

  test('go into a result as they came, without being unpacked', async () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const [bottom = ''] = kit.layers.adopt(image);
    const packed = await kit.layers.pack(testTask(), bottom, { kind: 'zstd', clampTime: 1 });
    expect(packed).toMatchObject({ fromImage: true, descriptor: image.layers[0]?.descriptor });
    expect(kit.workersStarted).toBe(0);
  });

  test('take another form only when that is forced', async () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const [bottom = ''] = kit.layers.adopt(image);
    const packed = await kit.layers.pack(testTask(), bottom, { kind: 'none', force: true });
    expect(packed.descriptor.mediaType).toBe(mediaTypes.ociLayer);
    expect(packed.descriptor.digest).toBe(image.layers[0]?.diffId);
    expect(kit.worker.count('recompressLayer')).toBe(1);
    expect(kit.worker.count('applyLayer')).toBe(0);
  });

  test('are described without being fetched', async () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const [bottom = ''] = kit.layers.adopt(image);
    const described = await kit.layers.describe(testTask(), bottom, { kind: 'gzip' });
    expect(described).toMatchObject({ diffId: image.layers[0]?.diffId, descriptor: image.layers[0]?.descriptor });
    expect(image.fetched).toEqual([]);
  });

  test('whose blob in the store is damaged are fetched again', async () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const [bottom = ''] = kit.layers.adopt(image);
    const { digest = sha256('') } = image.layers[0]?.descriptor ?? {};
    await kit.layers.fetch(testTask(), [bottom]);
    damage(kit.store.blobs.path(digest));
    const [dir = ''] = await kit.layers.directories(testTask(), [bottom]);
    expect(fs.readFileSync(join(dir, 'a'), 'utf8')).toBe('A');
    expect(image.fetched).toEqual([digest, digest]);
    expect(kit.store.blobs.verify(digest)).toBe(true);
  });

  test('that are wrong where they come from fail with what is wrong, and leave no directory', async () => {
    using kit = setUp();
    const lie = testImage({ config: { rootfs: { type: 'layers', diff_ids: [sha256('something else')] } } });
    const ids = kit.layers.adopt(resolved(kit.store, lie));
    expect(await failure(kit.layers.directories(testTask(), ids))).toMatchObject({ code: 'TSB_DIGEST' });
    expect(kit.store.layers.get(ids[0] ?? '')?.fs).toBe(false);
    // What failed is not remembered as failed: the next one tries for itself.
    expect(await failure(kit.layers.directories(testTask(), ids))).toMatchObject({ code: 'TSB_DIGEST' });
    expect(kit.worker.count('applyLayer')).toBeGreaterThan(1);
  });
});

describe('a layer that a step made', () => {
  const make = (kit: ReturnType<typeof setUp>, files: Readonly<Record<string, string>>, parents: string[] = []) =>
    kit.layers.create(testTask(), { parents, description: 'RUN make' }, (slot) => {
      for (const [name, text] of Object.entries(files)) fs.writeFileSync(join(slot.fs, name), text);
      return Promise.resolve();
    });

  test('becomes a blob once, however many want it', async () => {
    using kit = setUp();
    const id = await make(kit, { x: '1' });
    const [one, two] = await Promise.all([
      kit.layers.pack(testTask(), id, { kind: 'gzip' }),
      kit.layers.pack(testTask(), id, { kind: 'gzip' }),
    ]);
    expect(one).toEqual(two);
    expect(one).toMatchObject({
      description: 'RUN make',
      fromImage: false,
      diffId: sha256(tar([{ name: 'x', content: '1' }])),
    });
    expect(await kit.layers.pack(testTask(), id, { kind: 'gzip' })).toEqual(one);
    expect(kit.worker.count('diffLayer')).toBe(1);
  });

  test('is compressed another way from the blob that there is', async () => {
    using kit = setUp();
    const id = await make(kit, { x: '1' });
    const gzip = await kit.layers.pack(testTask(), id, { kind: 'gzip' });
    const plain = await kit.layers.pack(testTask(), id, { kind: 'none' });
    expect(plain.diffId).toBe(gzip.diffId);
    expect(plain.descriptor.digest).toBe(gzip.diffId);
    expect(kit.worker.count('diffLayer')).toBe(1);
  });

  test('with other times is another layer, which this one is not known by', async () => {
    using kit = setUp();
    const id = await make(kit, { x: '1' });
    const clamped = await kit.layers.pack(testTask(), id, { kind: 'none', clampTime: 7 });
    const own = await kit.layers.pack(testTask(), id, { kind: 'none' });
    expect(own.diffId).not.toBe(clamped.diffId);
    expect(kit.store.layers.get(id)?.blobs.map(({ descriptor }) => descriptor.digest)).toEqual([own.descriptor.digest]);
  });

  test('is there for who still wants its blob when packing ahead is canceled', async () => {
    using kit = setUp();
    const id = await make(kit, { x: '1' });
    const gate = Promise.withResolvers<void>();
    kit.worker.on.diffLayer = () => gate.promise;
    const ahead = testTask();
    kit.layers.packAhead(ahead, id, { kind: 'gzip' });
    await settle();
    const wanted = kit.layers.pack(testTask(), id, { kind: 'gzip' });
    await settle();
    delete kit.worker.on.diffLayer;
    ahead.controller.abort(new TsbuildError('TSB_CANCELED', 'nobody needs it'));
    expect((await wanted).diffId).toBe(sha256(tar([{ name: 'x', content: '1' }])));
  });

  test('that cannot be filled is gone, with its directory', async () => {
    using kit = setUp();
    let dir = '';
    const thrown = await failure(
      kit.layers.create(testTask(), { parents: [], description: 'RUN false' }, (slot) => {
        ({ dir } = slot);
        fs.writeFileSync(join(slot.fs, 'half'), '');
        return Promise.reject(new Error('exit code: 1'));
      }),
    );
    expect(thrown).toMatchObject({ message: 'exit code: 1' });
    expect(fs.existsSync(dir)).toBe(false);
    expect(kit.store.layers.list()).toEqual([]);
  });

  test('that cannot be filled fails with the reason, also when there is no worker to clean up', async () => {
    using opened = openStore();
    const layers = new LayerService({
      store: opened.store,
      lease: opened.store.leases.create(),
      worker: () => Promise.reject(new TsbuildError('TSB_SANDBOX', 'no namespaces here')),
      onWarning: () => undefined,
    });
    const thrown = await failure(
      layers.create(testTask(), { parents: [], description: 'COPY' }, () => Promise.reject(new Error('disk full'))),
    );
    expect(thrown).toMatchObject({ message: 'disk full' });
  });

  test('stands on directories that are made for it', async () => {
    using kit = setUp();
    const parents = [...kit.layers.adopt(resolved(kit.store, twoLayers))];
    let lowers: readonly string[] = [];
    await kit.layers.create(testTask(), { parents, description: 'RUN' }, (slot) => {
      ({ lowers } = slot);
      return Promise.resolve();
    });
    expect(lowers.map((dir) => fs.readdirSync(dir))).toEqual([['a'], ['b']]);
  });

  test('is measured and put on disk after the build, unless that takes long', async () => {
    using kit = setUp();
    const small = await make(kit, { x: '1' });
    await kit.layers.settle(testTask());
    expect(kit.store.layers.get(small)).toMatchObject({ bytes: 4096, inodes: 1 });
    expect(kit.store.layers.unsynced()).toEqual([]);
    await kit.layers.settle(testTask());
    expect(kit.worker.count('usage')).toBe(1);

    kit.worker.on.usage = () => [{ path: '', bytes: 65 * 1024 * 1024, inodes: 1, stamp: '1.2.3' }];
    const large = await make(kit, { y: '2' });
    await kit.layers.settle(testTask());
    expect(kit.worker.count('syncStore')).toBe(1);
    expect(kit.store.layers.unsynced()).toEqual([large]);
    // The next command does it beside its own work.
    kit.layers.syncEarlier(kit.worker);
    await settle();
    expect(kit.store.layers.unsynced()).toEqual([]);
  });

  test('which is gone from the store says what to do', async () => {
    using kit = setUp();
    const id = await make(kit, { x: '1' });
    kit.store.layers.forget(id);
    expect(await failure(kit.layers.pack(testTask(), id, { kind: 'gzip' }))).toMatchObject({
      code: 'TSB_STORE',
      hint: 'run the build again',
    });
    expect(kit.layers.available([id])).toBe(false);
  });

  test('of which only a damaged blob is left goes, so that it is built again', async () => {
    using kit = setUp();
    const bytes = gzipSync(tar([{ name: 'x', content: '1' }]));
    const { digest, size } = kit.store.blobs.put(bytes);
    const id = kit.layers.createPacked(
      { parents: [], description: 'COPY' },
      { diffId: sha256(gunzipSync(bytes)), digest, size, compression: 'gzip' },
    );
    damage(kit.store.blobs.path(digest));
    expect(await failure(kit.layers.directories(testTask(), [id]))).toMatchObject({
      code: 'TSB_DIGEST',
      hint: expect.stringContaining('built again') as string,
    });
    expect(kit.layers.available([id])).toBe(false);
  });
});

describe('layers on a Windows image', () => {
  test('are in the form of Windows layers, and so is what is beside them', async () => {
    using kit = setUp();
    const ids = kit.layers.adopt(resolved(kit.store, testImage({ config: { os: 'windows' } })));
    expect(kit.layers.isWindows(ids)).toBe(true);
    const linux = kit.layers.adopt(resolved(kit.store, twoLayers));
    expect(kit.layers.isWindows(linux)).toBe(false);
    const top = await kit.layers.create(testTask(), { parents: ids, description: 'COPY' }, () => Promise.resolve());
    await kit.layers.pack(testTask(), top, { kind: 'gzip' });
    const beside = await kit.layers.create(testTask(), { parents: [], description: 'COPY --link' }, () =>
      Promise.resolve(),
    );
    await kit.layers.pack(testTask(), beside, { kind: 'gzip', windows: true });
    await kit.layers.pack(testTask(), beside, { kind: 'gzip' });
    const forms = kit.worker.calls.filter(({ method }) => method === 'diffLayer');
    expect(forms.map(({ params }) => (params as { windows: boolean }).windows)).toEqual([true, true, false]);
  });
});

describe('layers of an imported cache', () => {
  const content = tar([{ name: 'c', content: 'C' }]);
  const blob = gzipSync(content);
  const cached = (more: Partial<CachedLayer> = {}): CachedLayer => ({
    descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(blob), size: blob.length },
    diffId: sha256(content),
    createdAt: 5,
    description: 'RUN elsewhere',
    fromImage: false,
    ...more,
  });

  /** An origin that has the blob, or gives something else under its name. */
  function origin(kit: ReturnType<typeof setUp>, give?: () => Promise<void>) {
    const damage: unknown[] = [];
    const fetched: Digest[] = [];
    return {
      damage,
      fetched,
      fetch: async (_task: unknown, { digest }: { readonly digest: Digest }) => {
        fetched.push(digest);
        if (give) await give();
        else kit.store.blobs.put(blob);
      },
      onDamage: (error: unknown) => void damage.push(error),
    };
  }

  test('count as there, and are in the store once they were fetched and looked at', async () => {
    using kit = setUp();
    const from = origin(kit);
    const [id = ''] = kit.layers.adoptCached([cached()], from);
    expect(kit.layers.available([id])).toBe(true);
    expect(kit.layers.isImported(id)).toBe(true);
    expect(kit.store.layers.usable([id])).toBe(false);
    const [dir = ''] = await kit.layers.directories(testTask(), [id]);
    expect(fs.readFileSync(join(dir, 'c'), 'utf8')).toBe('C');
    expect(from.fetched).toEqual([sha256(blob)]);
    expect(kit.store.layers.get(id)).toMatchObject({ createdAt: 5, description: 'RUN elsewhere' });
    // Another command finds it in the store.
    const [again = ''] = new LayerService({
      store: kit.store,
      lease: kit.lease,
      worker: () => Promise.reject(new Error()),
      onWarning: () => undefined,
    }).adoptCached([cached()], from);
    expect(again).toBe(id);
  });

  test('with the same content and another history are other layers', () => {
    using kit = setUp();
    const from = origin(kit);
    const ids = [
      {},
      { description: 'RUN other' },
      { createdAt: 6 },
      { fromImage: true },
      { diffId: sha256('lie') },
    ].map((more) => kit.layers.adoptCached([cached(more)], from)[0]);
    expect(new Set(ids).size).toBe(ids.length);
    const [, onTop] = kit.layers.adoptCached([cached({ description: 'below' }), cached()], from);
    expect(ids).not.toContain(onTop);
  });

  test.each([
    ['lies about its content', cached({ diffId: sha256('something else') }), undefined],
    ['cannot be fetched', cached(), () => Promise.reject(new TsbuildError('TSB_NETWORK', 'unreachable'))],
  ])('of which one %s are all given up', async (_name, layer, give) => {
    using kit = setUp();
    const bad = origin(kit, give);
    const good = origin(kit);
    const [id = '', other = ''] = [layer, cached({ description: 'not asked for' })].flatMap((one) =>
      kit.layers.adoptCached([one], bad),
    );
    const [kept = ''] = kit.layers.adoptCached([cached({ description: 'of another cache' })], good);
    expect(await failure(kit.layers.fetch(testTask(), [id]))).toMatchObject({
      code: 'TSB_STORE',
      message: expect.stringMatching(/^Cannot use a layer of an imported cache/) as string,
    });
    expect(bad.damage).toHaveLength(1);
    expect(kit.store.layers.get(id)?.blobs).toEqual([]);
    expect(kit.layers.available([id])).toBe(false);
    expect(kit.layers.isImported(other)).toBe(false);
    expect(kit.layers.available([kept])).toBe(true);
  });

  test('TAR-26: are given up when they are bombs, long before their end', async () => {
    using kit = setUp();
    // 64 GiB in 65 MB: 65,536 members of a mebibyte of zeros.
    const member = gzipSync(Buffer.alloc(1 << 20));
    const bomb = Buffer.alloc(member.length << 16, member);
    const from = origin(kit, () => {
      kit.store.blobs.put(bomb);
      return Promise.resolve();
    });
    const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bomb), size: bomb.length };
    const [id = ''] = kit.layers.adoptCached([cached({ descriptor })], from);
    const error = await failure(kit.layers.fetch(testTask(), [id]));
    expect(String(error)).toContain('looks like a decompression bomb');
    expect(from.damage).toHaveLength(1);
    expect(kit.layers.available([id])).toBe(false);
  });

  test('are not given up because the build was canceled', async () => {
    using kit = setUp();
    const task = testTask();
    const from = origin(kit, () => {
      task.controller.abort(new TsbuildError('TSB_CANCELED', 'Canceled by SIGINT'));
      return Promise.reject(new Error('the connection was closed'));
    });
    const [id = ''] = kit.layers.adoptCached([cached()], from);
    await failure(kit.layers.fetch(task, [id]));
    expect(from.damage).toEqual([]);
    expect(kit.layers.isImported(id)).toBe(true);
  });

  test('that an image of the build has, too, are those of the image', () => {
    using kit = setUp();
    const image = resolved(kit.store, twoLayers);
    const ids = kit.layers.adopt(image);
    const from = origin(kit);
    const base = image.layers.map(({ descriptor, diffId }) => cached({ descriptor, diffId, fromImage: true }));
    expect(kit.layers.adoptCached([...base, cached()], from).slice(0, 2)).toEqual(ids);
    expect(kit.layers.repositoryOf(ids[0] ?? '')).toEqual({ host: 'registry.test', path: 'fake' });
    // A layer that claims to be a base layer on top of one that is none is nobody else's.
    expect(kit.layers.adoptCached([cached(), ...base], from).slice(1)).not.toEqual(ids);
  });
});

/** Changes a byte in the middle; blobs are read-only. */
function damage(path: string): void {
  fs.chmodSync(path, 0o644);
  const bytes = fs.readFileSync(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  fs.writeFileSync(path, bytes);
}
