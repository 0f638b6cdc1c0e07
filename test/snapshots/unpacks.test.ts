import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { LayerService } from '../../src/snapshots/index.ts';
import type { ResolvedImage } from '../../src/source/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import { resolved } from '../fakes/image.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore } from '../store/support.ts';
import { testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';

const image = testImage({ layers: [[{ name: 'a', content: 'A' }]] });

/** A layer whose blob arrives as the test says; the worker reads the file that grows, as it is when it is asked. */
function setUp(transfer: (write: (bytes: Uint8Array) => string, bytes: Buffer) => Promise<void>) {
  const opened = openStore();
  const { store } = opened;
  const worker = new FakeWorker(store);
  const usual = worker.usual.applyLayer;
  worker.on.applyLayer = (params: never, options) => {
    const { growing, ...rest } = params as { growing?: string };
    return usual?.((growing === undefined ? rest : { ...rest, blob: growing }) as never, options);
  };
  const layers = new LayerService({
    store,
    lease: store.leases.create(),
    worker: () => Promise.resolve(worker),
    onWarning: () => undefined,
  });
  const source = resolved(store, image);
  const arriving: ResolvedImage = {
    ...source,
    async fetchLayer(_task, _descriptor, _vertex, onGrowing) {
      let files = 0;
      const write = (bytes: Uint8Array): string => {
        const file = join(store.root, `part${files++}`);
        fs.writeFileSync(file, bytes);
        onGrowing?.(file);
        return file;
      };
      await transfer(write, image.layers[0]?.bytes ?? Buffer.alloc(0));
    },
  };
  const [id = ''] = layers.adopt(arriving);
  return { ...opened, worker, layers, id, [Symbol.dispose]: () => opened[Symbol.dispose]() };
}

/** What the worker was asked to unpack, in order: layers by their ids, each with those that it was told lie below. */
function unpackedOf(worker: FakeWorker): readonly { readonly id: string; readonly lowers: readonly string[] }[] {
  const idOf = (path: string): string => path.split('/').at(-2) ?? '';
  return worker.calls
    .filter(({ method }) => method === 'applyLayer')
    .map(({ params }) => params as { target: string; lowers: readonly string[] })
    .map(({ target, lowers }) => ({ id: idOf(target), lowers: lowers.map(idOf) }));
}

const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 20));

test('a layer joins the store only when its blob has arrived', async () => {
  const arrived = Promise.withResolvers<void>();
  using kit = setUp(async (write, bytes) => {
    write(bytes);
    await arrived.promise;
    kit.store.blobs.put(bytes);
  });
  const directories = kit.layers.directories(testTask(), [kit.id]);
  await expect.poll(() => kit.worker.count('applyLayer')).toBe(1);
  expect(kit.store.layers.get(kit.id)?.fs).toBe(false);
  arrived.resolve();
  const [path = ''] = await directories;
  expect(fs.readdirSync(path)).toEqual(['a']);
  expect(kit.store.layers.get(kit.id)?.fs).toBe(true);
  expect(kit.worker.count('applyLayer')).toBe(1);
});

test('what was made of bytes that turn out to be wrong is thrown away, and the transfer says why', async () => {
  using kit = setUp(async (write, bytes) => {
    write(bytes);
    await settle();
    throw new TsbuildError('TSB_DIGEST', 'Cannot store the blob: its bytes have another digest');
  });
  await expect(kit.layers.directories(testTask(), [kit.id])).rejects.toMatchObject({
    code: 'TSB_DIGEST',
    message: 'Cannot store the blob: its bytes have another digest',
  });
  expect(kit.store.layers.get(kit.id)?.fs).toBe(false);
  expect(fs.existsSync(kit.store.layers.paths(kit.id).dir)).toBe(false);
});

test('a transfer that begins anew is unpacked from its second file or from the whole', async () => {
  using kit = setUp(async (write, bytes) => {
    write(bytes.subarray(0, 10));
    await settle();
    write(bytes);
    kit.store.blobs.put(bytes);
  });
  const [path = ''] = await kit.layers.directories(testTask(), [kit.id]);
  expect(fs.readdirSync(path)).toEqual(['a']);
});

test('every layer of a deep image is unpacked once, after those below it', async () => {
  const deep = testImage({ layers: Array.from({ length: 60 }, (_, at) => [{ name: `file${at}`, content: `${at}` }]) });
  using kit = setUp(() => Promise.resolve());
  const ids = kit.layers.adopt(resolved(kit.store, deep));
  const paths = await kit.layers.directories(testTask(), ids);
  expect(paths.map((path) => fs.readdirSync(path)).flat()).toEqual(ids.map((_, at) => `file${at}`));
  expect(unpackedOf(kit.worker)).toEqual(ids.map((id, at) => ({ id, lowers: ids.slice(0, at) })));
});

test('the top of a deep image alone has all below it unpacked', async () => {
  const deep = testImage({ layers: Array.from({ length: 20 }, (_, at) => [{ name: `file${at}`, content: `${at}` }]) });
  using kit = setUp(() => Promise.resolve());
  const ids = kit.layers.adopt(resolved(kit.store, deep));
  await kit.layers.directories(testTask(), ids.slice(-1));
  expect(unpackedOf(kit.worker).map(({ id }) => id)).toEqual(ids);
});

test('a hole in a stack is filled: what lies below a layer that is there, or that does not stand on it, comes first', async () => {
  const [low, high] = ['low', 'high'].map((name) => testImage({ layers: [[{ name, content: name }]] }));
  using kit = setUp(() => Promise.resolve());
  if (!low || !high) throw new Error('No images');
  const [below = ''] = kit.layers.adopt(resolved(kit.store, low));
  // As COPY --link makes it: of no layer, and put onto another.
  const [linked = ''] = kit.layers.adopt(resolved(kit.store, high));
  const lease = kit.store.leases.create();
  const top = ((): string => {
    const bytes = testImage({ layers: [[{ name: 'top', content: 'T' }]] }).layers[0]?.bytes ?? Buffer.alloc(0);
    const id = kit.store.layers.create({ parents: [below, linked] }, lease);
    const descriptor = { mediaType: mediaTypes.ociLayerGzip, ...kit.store.blobs.put(bytes) };
    kit.store.layers.addBlob(id, { compression: 'gzip', descriptor, diffId: sha256(gunzipSync(bytes)) });
    return id;
  })();
  await kit.layers.directories(testTask(), [top]);
  const order = unpackedOf(kit.worker).map(({ id }) => id);
  expect(order.toSorted()).toEqual([below, linked, top].toSorted());
  expect(order.at(-1)).toBe(top);
  expect(unpackedOf(kit.worker).at(-1)?.lowers).toEqual([below, linked]);
});
