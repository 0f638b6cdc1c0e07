import { afterEach, beforeEach, expect, test } from 'vitest';
import { MovedLayers } from '../../src/snapshots/moved-layers.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore, type TestStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

let opened: TestStore;
let worker: FakeWorker;
let moved: MovedLayers;
beforeEach(() => {
  opened = openStore();
  worker = new FakeWorker(opened.store);
  moved = new MovedLayers(opened.store, () => Promise.resolve(worker));
});
afterEach(() => opened[Symbol.dispose]());

const made = (...parents: readonly string[]): string =>
  opened.store.layers.create({ parents, type: 'regular', description: 'made' }, opened.store.leases.create());
/** The layers of a stack that get a mask. */
async function masked(...ids: readonly string[]): Promise<readonly string[]> {
  const before = worker.calls.length;
  await moved.mask(testTask(), ids);
  const dirs = worker.calls
    .slice(before)
    .flatMap(({ params }) => (params as { readonly dirs: readonly string[] }).dirs);
  return ids.filter((id) => dirs.includes(opened.store.layers.paths(id).dir));
}

test('layers are masked where what they were made on is not beneath them, once', async () => {
  const a = made();
  const b = made(a);
  const c = made(a, b);
  const other = made();
  const onMerged = made(other, a, b);
  // As it grew, and one tree on another.
  expect(await masked(a, b, c)).toEqual([]);
  expect(await masked(other, a, b, c)).toEqual([]);
  expect(await masked(other, a, b, onMerged)).toEqual([]);
  expect(worker.calls).toEqual([]);
  // What a diff took.
  expect(await masked(other, c)).toEqual([c]);
  expect(await masked(other, b, c)).toEqual([b]);
  expect(await masked(other, b, c)).toEqual([]);
  expect(await masked(onMerged)).toEqual([onMerged]);
});
