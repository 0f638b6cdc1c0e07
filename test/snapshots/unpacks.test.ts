import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LayerService } from '../../src/snapshots/index.ts';
import type { ResolvedImage } from '../../src/source/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
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

const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 20));

test('a layer joins the store only when its blob has arrived', async () => {
  const arrived = Promise.withResolvers<void>();
  using kit = setUp(async (write, bytes) => {
    write(bytes);
    await arrived.promise;
    kit.store.blobs.put(bytes);
  });
  const directories = kit.layers.directories(testTask(), [kit.id]);
  await settle();
  expect(kit.worker.count('applyLayer')).toBe(1);
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
