import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectContent, ObjectStore } from '../../src/object-store/index.ts';
import { testTask } from '../support/task.ts';

/** Two ways to the same objects, as two builds have them. */
export interface ObjectStoreFixture extends AsyncDisposable {
  readonly one: ObjectStore;
  readonly other: ObjectStore;
  /** Makes what was put visible to others, for stores that gather it first. */
  readonly settle?: () => Promise<void>;
}

/** What a store cannot do, by the service that it is on. */
export interface ObjectStoreTraits {
  /** Names of objects that were put stay as they are for ever (large ones). */
  readonly isImmutable?: boolean;
  /** Bytes of an object that is large for the store. */
  readonly large?: number;
}

export function contentOf(bytes: Uint8Array, chunkBytes: number = 1 << 16): ObjectContent {
  return {
    size: bytes.length,
    async *open() {
      await Promise.resolve();
      // One buffer for all chunks: a store that keeps one without a copy has something else then.
      const buffer = Buffer.alloc(chunkBytes);
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const chunk = bytes.subarray(at, at + chunkBytes);
        buffer.set(chunk);
        yield buffer.subarray(0, chunk.length);
      }
    },
  };
}

export async function bytesOf(
  store: ObjectStore,
  name: string,
  options: Parameters<ObjectStore['get']>[2] = { maxBytes: 1 << 30 },
): Promise<Buffer | undefined> {
  const chunks = await store.get(testTask(), name, options);
  if (chunks === undefined) return undefined;
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function namesOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(testTask(), prefix)) names.push(name);
  return names.toSorted();
}

/** Bytes that are not the same anywhere. */
export function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size + 4);
  for (let at = 0; at < size; at += 4) bytes.writeUInt32LE((Math.imul(at, 2_654_435_761) ^ size) >>> 0, at);
  return bytes.subarray(0, size);
}

const part = fc.stringMatching(/^[a-z0-9_-][a-z0-9._-]{0,12}$/);
const names = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

/** The contract of `ObjectStore`, for everything that implements it, fakes included. */
export function objectStoreSuite(
  name: string,
  make: () => Promise<ObjectStoreFixture>,
  traits: ObjectStoreTraits = {},
): void {
  const { large = 9 << 20 } = traits;
  describe(`object store: ${name}`, () => {
    test('bytes under any name, in any chunks, are there for everybody', async () => {
      await using stores = await make();
      const put = new Map<string, Buffer>();
      await fc.assert(
        fc.asyncProperty(
          names,
          fc.uint8Array({ maxLength: 5000 }),
          fc.integer({ min: 1, max: 3000 }),
          async (rest, bytes, chunkBytes) => {
            // No name is the beginning of another one's path, which a directory could not hold.
            const object = `n${put.size}/${rest}`;
            put.set(object, Buffer.from(bytes));
            await stores.one.put(testTask(), object, contentOf(bytes, chunkBytes));
          },
        ),
        { numRuns: 12 },
      );
      await stores.settle?.();
      for (const [object, bytes] of put) {
        for (const store of [stores.one, stores.other]) {
          expect(await store.head(testTask(), object)).toEqual({ size: bytes.length });
          expect((await bytesOf(store, object))?.equals(bytes)).toBe(true);
        }
      }
    });

    test('what is not there is undefined, and not an error', async () => {
      await using stores = await make();
      expect(await stores.one.head(testTask(), 'no/such')).toBeUndefined();
      expect(await bytesOf(stores.one, 'no/such')).toBeUndefined();
      expect(await namesOf(stores.one, '')).toEqual([]);
      await stores.one.put(testTask(), 'a/b/c', contentOf(Buffer.from('x')));
      await stores.settle?.();
      expect(await stores.other.head(testTask(), 'a/b/d')).toBeUndefined();
      expect(await stores.other.head(testTask(), 'a')).toBeUndefined();
      expect(await stores.other.head(testTask(), 'x/y')).toBeUndefined();
      await stores.one.touch?.(testTask(), 'no/such');
      await stores.one.delete?.(testTask(), 'no/such');
    });

    test('a large object arrives whole, and so does any part of it', async () => {
      await using stores = await make();
      const bytes = patterned(large + 4);
      await stores.one.put(testTask(), 'blobs/large', contentOf(bytes));
      await stores.settle?.();
      expect(await stores.other.head(testTask(), 'blobs/large')).toEqual({ size: bytes.length });
      expect((await bytesOf(stores.other, 'blobs/large'))?.equals(bytes)).toBe(true);
      for (const [start, length] of [
        [0, 2],
        [large, 4],
        [100, 70_000],
        [0, bytes.length],
      ] as const) {
        const found = await bytesOf(stores.other, 'blobs/large', { maxBytes: length, range: { start, length } });
        expect(found?.equals(bytes.subarray(start, start + length))).toBe(true);
      }
    });

    test('an object or part that is longer than wanted is refused, and a part beyond the end', async () => {
      await using stores = await make();
      await stores.one.put(testTask(), 'long', contentOf(patterned(1000)));
      await stores.settle?.();
      const refused = expect.objectContaining({ code: 'TSB_DIGEST' });
      await expect(bytesOf(stores.other, 'long', { maxBytes: 999 })).rejects.toThrow(refused);
      await expect(bytesOf(stores.other, 'long', { maxBytes: 9, range: { start: 0, length: 10 } })).rejects.toThrow(
        refused,
      );
      await expect(bytesOf(stores.other, 'long', { maxBytes: 1000, range: { start: 999, length: 2 } })).rejects.toThrow(
        refused,
      );
      expect((await bytesOf(stores.other, 'long', { maxBytes: 1000 }))?.length).toBe(1000);
      expect((await bytesOf(stores.other, 'long', { maxBytes: 10, range: { start: 990, length: 10 } }))?.length).toBe(
        10,
      );
    });

    test('it is replaced, but where it is only wanted once', async () => {
      await using stores = await make();
      const [first, second, third] = ['first', 'second', 'third'].map((text) => Buffer.from(text));
      await stores.one.put(testTask(), 'x/y', contentOf(first!));
      await stores.settle?.();
      await stores.one.put(testTask(), 'x/y', contentOf(second!));
      await stores.settle?.();
      expect((await bytesOf(stores.one, 'x/y'))?.toString()).toBe('second');
      // Of the same length: others are damaged.
      await stores.one.put(testTask(), 'x/y', contentOf(Buffer.from('SECOND')), { ifAbsent: true });
      await stores.one.put(testTask(), 'x/z', contentOf(third!), { ifAbsent: true });
      await stores.settle?.();
      expect((await bytesOf(stores.one, 'x/y'))?.toString()).toBe('second');
      expect((await bytesOf(stores.one, 'x/z'))?.toString()).toBe('third');
    });

    test('lists have what begins so, with size and time', async () => {
      await using stores = await make();
      const all = ['blobs/sha256/aa', 'blobs/sha256/ab', 'records/main/1', 'records/main/2', 'records/pr-1/1', 'r'];
      await Promise.all(all.map((object, at) => stores.one.put(testTask(), object, contentOf(patterned(at)))));
      await stores.settle?.();
      expect(await namesOf(stores.other, '')).toEqual(all.toSorted());
      expect(await namesOf(stores.other, 'records/')).toEqual(all.slice(2, 5));
      expect(await namesOf(stores.other, 'records/ma')).toEqual(all.slice(2, 4));
      expect(await namesOf(stores.other, 'blobs/sha256/a')).toEqual(all.slice(0, 2));
      expect(await namesOf(stores.other, 'bl')).toEqual(all.slice(0, 2));
      expect(await namesOf(stores.other, 'zzz')).toEqual([]);
      for await (const { size, modifiedAt, name: object } of stores.other.list(testTask(), 'records/')) {
        expect(size).toBe(all.indexOf(object));
        // Others count, or do not tell.
        if (modifiedAt > 1e12) expect(Math.abs(modifiedAt - Date.now())).toBeLessThan(600_000);
      }
    });

    test('content of another length than it says is an error, and nobody sees it', async () => {
      await using stores = await make();
      for (const [size, bytes] of [
        [5, 4],
        [4, 5],
        [large, large - 1],
        [large, large + 1],
      ] as const) {
        const content = { ...contentOf(patterned(bytes)), size };
        await expect(stores.one.put(testTask(), 'lie', content)).rejects.toThrow(
          expect.objectContaining({ code: 'TSB_INTERNAL' }),
        );
      }
      await stores.settle?.();
      expect(await stores.other.head(testTask(), 'lie')).toBeUndefined();
      expect(await namesOf(stores.other, '')).toEqual([]);
    });

    test('content that cannot be read fails as it does, and nobody sees it', async () => {
      await using stores = await make();
      for (const size of [10, large]) {
        const content: ObjectContent = {
          size,
          async *open() {
            await Promise.resolve();
            yield Buffer.alloc(5);
            throw new Error('the disk is on fire');
          },
        };
        await expect(stores.one.put(testTask(), 'burnt', content)).rejects.toThrow('the disk is on fire');
      }
      await stores.settle?.();
      expect(await stores.other.head(testTask(), 'burnt')).toBeUndefined();
    });

    test('two that write one name at a time both succeed, and readers see one of them', async () => {
      await using stores = await make();
      const contents = [patterned(3000), patterned(4000)];
      for (const ifAbsent of [false, true]) {
        const object = `both/${ifAbsent}`;
        await Promise.all(
          [stores.one, stores.other].map((store, at) =>
            store.put(testTask(), object, contentOf(contents[at]!), { ifAbsent }),
          ),
        );
        await stores.settle?.();
        const found = await bytesOf(stores.one, object);
        expect(contents.some((bytes) => found?.equals(bytes))).toBe(true);
      }
    });

    test('many at a time, and deleting or touching one leaves the others', async () => {
      await using stores = await make();
      const many = Array.from({ length: 40 }, (_, at) => `many/${at}`);
      await Promise.all(many.map((object) => stores.one.put(testTask(), object, contentOf(Buffer.from(object)))));
      await stores.settle?.();
      const found = await Promise.all(many.map((object) => bytesOf(stores.other, object)));
      expect(found.map((bytes) => bytes?.toString())).toEqual(many);
      await stores.one.touch?.(testTask(), 'many/1');
      if (stores.one.delete === undefined) return;
      await stores.one.delete(testTask(), 'many/0');
      await stores.one.delete(testTask(), 'many/0');
      await stores.settle?.();
      expect(await bytesOf(stores.one, 'many/0')).toBeUndefined();
      expect(await namesOf(stores.one, 'many/')).toEqual(many.slice(1).toSorted());
    });

    test('names that lead elsewhere are refused', async () => {
      await using stores = await make();
      for (const bad of [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        'a/./b',
        '../a',
        'A',
        'a b',
        'a%2fb',
        'a\\b',
        'a\0b',
        'ä',
        'a'.repeat(513),
      ]) {
        const refused = expect.objectContaining({ code: 'TSB_DIGEST' });
        await expect(stores.one.get(testTask(), bad, { maxBytes: 1 })).rejects.toThrow(refused);
        await expect(stores.one.head(testTask(), bad)).rejects.toThrow(refused);
        await expect(stores.one.put(testTask(), bad, contentOf(Buffer.alloc(1)))).rejects.toThrow(refused);
        await expect(
          stores.one.delete?.(testTask(), bad) ?? Promise.reject(Object.assign(new Error(), { code: 'TSB_DIGEST' })),
        ).rejects.toThrow(refused);
      }
    });

    test('canceling ends it, with the reason', async () => {
      await using stores = await make();
      const task = testTask();
      const endless: ObjectContent = {
        size: large * 4,
        async *open() {
          for (;;) {
            yield Buffer.alloc(1000);
            await sleep(1);
          }
        },
      };
      const writing = stores.one.put(task, 'endless', endless);
      setTimeout(() => task.controller.abort(new Error('enough')), 30);
      await expect(writing).rejects.toThrow(
        expect.objectContaining({ code: 'TSB_CANCELED', message: 'Canceled: enough' }),
      );
      expect(await stores.other.head(testTask(), 'endless')).toBeUndefined();
    });
  });
}
