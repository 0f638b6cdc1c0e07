import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LayerService } from '../../src/snapshots/index.ts';
import { isDamageError, type Store } from '../../src/store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore, tempRoot } from '../store/support.ts';
import { testTask } from '../support/task.ts';

/** A command on a store that others use too. */
function setUp(root: string) {
  const opened = openStore(root);
  const { store } = opened;
  const worker = new FakeWorker(store);
  const lease = store.leases.create();
  const layers = new LayerService({ store, lease, worker: () => Promise.resolve(worker), onWarning: () => undefined });
  const make = (text: string, parents: readonly string[] = []): Promise<string> =>
    layers.create(testTask(), { parents, description: 'RUN make' }, (slot) => {
      fs.writeFileSync(join(slot.fs, 'file'), text);
      return Promise.resolve();
    });
  return { ...opened, worker, layers, make, [Symbol.dispose]: () => opened[Symbol.dispose]() };
}

const fileOf = (store: Store, id: string): string => join(store.layers.paths(id).fs, 'file');

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a directory is measured soon after it is complete, and all that wait together', async () => {
  using kit = setUp(tempRoot());
  const first = await kit.make('1');
  await expect.poll(() => kit.store.layers.get(first)?.stamp).toBeDefined();
  expect(kit.worker.count('usage')).toBe(1);
  const gate = Promise.withResolvers<void>();
  const usual = kit.worker.usual.usage;
  kit.worker.on.usage = async (params, options) => {
    await gate.promise;
    return usual?.(params, options);
  };
  const ids = await Promise.all(['2', '3', '4', '5'].map((text) => kit.make(text)));
  gate.resolve();
  await kit.layers.measured();
  expect(ids.every((id) => kit.store.layers.get(id)?.stamp !== undefined)).toBe(true);
  expect(kit.worker.count('usage')).toBeLessThanOrEqual(3);
});

test('what could not be measured is measured in the end, which else tells why', async () => {
  using kit = setUp(tempRoot());
  kit.worker.on.usage = () => Promise.reject(new TsbuildError('TSB_STORE', 'no more processes'));
  const id = await kit.make('1');
  await new Promise((done) => setTimeout(done, 5));
  expect(await failure(kit.layers.settle(testTask()))).toMatchObject({ message: 'no more processes' });
  delete kit.worker.on.usage;
  await kit.layers.measured();
  expect(kit.store.layers.get(id)?.stamp).toBeDefined();
});

test('a directory of a command that ended before it measured it is not there for the next', async () => {
  const root = tempRoot();
  let id = '';
  {
    using kit = setUp(root);
    kit.worker.on.usage = () => Promise.reject(new TsbuildError('TSB_SANDBOX', 'the worker was killed'));
    id = await kit.make('good');
    await kit.layers.measured();
  }
  using next = setUp(root);
  fs.writeFileSync(fileOf(next.store, id), 'evil');
  expect(next.layers.available([id])).toBe(false);
});

test('a directory of a command that is running is believed, and measured', async () => {
  const root = tempRoot();
  using kit = setUp(root);
  kit.worker.on.usage = () => new Promise(() => undefined);
  const id = await kit.make('good');
  using other = setUp(root);
  await other.make('upon it', [id]);
  expect(other.store.layers.get(id)).toMatchObject({ fs: true, stamp: expect.any(String) as string });
});

test('a directory whose maker is killed before it is built upon is made again', async () => {
  const root = tempRoot();
  using kit = setUp(root);
  kit.worker.on.usage = () => new Promise(() => undefined);
  const id = await kit.make('good');
  using other = setUp(root);
  expect(other.layers.available([id])).toBe(true);
  kit.store.close();
  expect(isDamageError(await failure(other.make('upon it', [id])))).toBe(true);
  expect(other.layers.available([id])).toBe(false);
});

test.each([
  ['changed', (path: string): void => fs.writeFileSync(path, 'evil')],
  ['replaced by a link', (path: string): void => (fs.rmSync(path), fs.symlinkSync('/etc/hostname', path))],
  ['deleted with its directory', (path: string): void => fs.rmSync(join(path, '..'), { recursive: true })],
])('what was %s is refused to everybody who builds upon it, whenever they ask', async (_, harm) => {
  const root = tempRoot();
  let id = '';
  {
    using kit = setUp(root);
    id = await kit.make('good');
    await kit.layers.settle(testTask());
  }
  using next = setUp(root);
  harm(fileOf(next.store, id));
  const late = Promise.withResolvers<void>();
  // The first has begun when the directory is put aside, and is told in the end.
  const first = next.layers.create(testTask(), { parents: [id], description: 'RUN long' }, () => late.promise);
  await expect.poll(() => next.store.layers.get(id)?.fs).toBe(false);
  const second = await failure(next.make('second', [id]));
  expect(second).toBeInstanceOf(TsbuildError);
  late.resolve();
  expect(isDamageError(await failure(first))).toBe(true);
  expect(next.store.layers.list().filter((layer) => layer.fs)).toEqual([]);
});
