import { expect, test } from 'vitest';
import { ObjectPlace } from '../../../src/remote-cache/index.ts';
import { pruneObjects } from '../../../src/remote-cache/steps/prune.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { vtx } from '../../solver/rig.ts';
import { Machine } from '../../support/shared-cache.ts';
import { testTask } from '../../support/task.ts';

const HOUR = 3_600_000;

/** One step whose result takes so many bytes. */
const step = (name: string, bytes: number) =>
  vtx(name, { inputs: [vtx('base', { value: 'base' })], value: `${name} ${'x'.repeat(bytes)}`.slice(0, bytes) });

/** Makes everything that is there older. */
function age(store: MemoryObjects, ms: number): void {
  for (const object of store.objects.values()) object.modifiedAt -= ms;
}

function bytesOf(store: MemoryObjects): number {
  return [...store.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
}

test('what was used longest ago goes, with the layers that nobody else names', async () => {
  const store = new MemoryObjects();
  store.objects.set(`blobs/sha256/${'0'.repeat(64)}`, { bytes: Buffer.alloc(1000), modifiedAt: 0 });
  for (const name of ['a', 'b', 'c']) {
    age(store, HOUR);
    await new Machine().build(step(name, 300), { to: new ObjectPlace(store, name === 'c' ? 'other' : 'main') });
  }
  // Somebody uses the first again.
  age(store, HOUR);
  await new Machine().build(step('a', 300), {
    from: [new ObjectPlace(store, 'main')],
    to: new ObjectPlace(store, 'main'),
    touchMs: 0,
    now: () => 1_800_000_000_000,
  });
  const before = bytesOf(store);
  const { deleted, bytes } = await pruneObjects(testTask(), store, { maxBytes: before - 1000 - 200 });
  expect(bytes).toBe(bytesOf(store));
  // What no record names went first.
  expect(deleted[0]).toBe(`blobs/sha256/${'0'.repeat(64)}`);
  const uses = async (name: string, scope: string): Promise<boolean> =>
    (await new Machine().build(step(name, 300), { from: [new ObjectPlace(store, scope)] })).executed.length === 0;
  for (const name of store.objects.keys()) if (name.startsWith('index/')) store.objects.delete(name);
  expect([await uses('a', 'main'), await uses('b', 'main'), await uses('c', 'other')]).toEqual([true, false, true]);
});

test('layers that were just written stay, for their record may be on its way', async () => {
  const store = new MemoryObjects();
  store.objects.set(`blobs/sha256/${'0'.repeat(64)}`, { bytes: Buffer.alloc(1000), modifiedAt: 10 * HOUR });
  expect(await pruneObjects(testTask(), store, { maxBytes: 10 })).toEqual({ deleted: [], bytes: 1000 });
});

test('an exporter with a size takes records out of the index that are gone', async () => {
  const store = new MemoryObjects();
  const place = (): ObjectPlace => new ObjectPlace(store, 'main');
  await new Machine().build(step('a', 300), { to: place() });
  age(store, HOUR);
  await new Machine().build(step('b', 300), { to: place(), maxBytes: bytesOf(store) + 300 });
  const { executed } = await new Machine().build(step('a', 300), { from: [place()] });
  expect(executed).toContain('a');
  expect((await new Machine().build(step('b', 300), { from: [place()] })).executed).toEqual([]);
});

test('a store of very many objects is made smaller as any other', async () => {
  const store = new MemoryObjects();
  const bytes = Buffer.alloc(1);
  for (let at = 0; at < 200_000; at++) store.objects.set(`blobs/sha256/${at}`, { bytes, modifiedAt: at });
  store.objects.set('blobs/sha256/newest', { bytes, modifiedAt: HOUR });
  const pruned = await pruneObjects(testTask(), store, { maxBytes: 199_999 });
  expect(pruned).toEqual({ deleted: ['blobs/sha256/0', 'blobs/sha256/1'], bytes: 199_999 });
});
