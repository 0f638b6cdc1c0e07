import { closeSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobDir } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';

/** Two ways to the same blobs, as two processes have them. */
export interface ContentStoreFixture extends Disposable {
  readonly one: BlobDir;
  readonly other: BlobDir;
  /** Puts other bytes in the place of a blob, as a failing disk does. */
  damage(path: string, bytes: Uint8Array): void;
}

const right = Buffer.from('right bytes');
const digest = sha256(right);

/** The contract of blobs: written, hashed on the way, and there only when they are whole. For all that write them. */
export function contentStoreSuite(name: string, make: () => ContentStoreFixture): void {
  describe(`content store: ${name}`, () => {
    test('bytes in any chunks are there under their digest, for everybody', () => {
      using store = make();
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }), (chunks) => {
          const whole = Buffer.concat(chunks);
          using writer = store.one.ingest();
          for (const chunk of chunks) writer.write(chunk);
          expect(writer.size).toBe(whole.length);
          const info = { digest: sha256(whole), size: whole.length };
          expect(writer.commit(info)).toEqual(info);
          for (const blobs of [store.one, store.other]) {
            expect(blobs.info(info.digest)).toEqual(info);
            expect(blobs.read(info.digest).equals(whole)).toBe(true);
            expect(blobs.peek(info.digest)?.equals(whole)).toBe(true);
            expect(blobs.verify(info.digest)).toBe(true);
            expect(readFileSync(blobs.path(info.digest)).equals(whole)).toBe(true);
          }
        }),
        { numRuns: 20 },
      );
    });

    test('until it is committed nobody sees it, and what is aborted never was', () => {
      using store = make();
      const seen = (): boolean[] => [store.one.has(digest), store.other.has(digest)];
      const writer = store.one.ingest();
      writer.write(right);
      expect(seen()).toEqual([false, false]);
      writer.abort();
      writer.abort();
      expect(seen()).toEqual([false, false]);
      {
        using left = store.one.ingest();
        left.write(right);
      }
      expect([...store.one.list()]).toEqual([]);
      expect(() => writer.commit()).toThrow(expect.objectContaining({ code: 'TSB_INTERNAL' }));
    });

    test.each([
      ['another digest', { digest: sha256('expected') }, /its bytes have digest/],
      ['fewer bytes', { size: right.length - 1 }, /11 bytes instead of 10/],
      ['more bytes', { digest, size: right.length + 1 }, /11 bytes instead of 12/],
    ])('what was to have %s is not kept', (_, expected, message) => {
      using store = make();
      using writer = store.one.ingest();
      writer.write(right);
      expect(() => writer.commit(expected)).toThrow(
        expect.objectContaining({ code: 'TSB_DIGEST', message: expect.stringMatching(message) }),
      );
      expect([...store.other.list()]).toEqual([]);
    });

    test('a size that is asked for counts, and the content does not', () => {
      using store = make();
      store.one.put(right);
      expect([store.other.has(digest, 11), store.other.has(digest, 12)]).toEqual([true, false]);
      expect(() => store.other.read(digest, 10)).toThrow(/11 bytes are more than 10/);
      expect(store.other.peek(digest, 10)).toBeUndefined();
      // It was not the blob's fault.
      expect(store.other.has(digest)).toBe(true);
    });

    test('a blob that was damaged is not given out, and heals when it is written again', () => {
      using store = make();
      for (const bad of [Buffer.from('wrong bytes'), Buffer.from('short'), Buffer.alloc(0)]) {
        store.one.put(right);
        store.damage(store.one.path(digest), bad);
        expect(store.other.verify(digest)).toBe(false);
        expect(store.other.peek(digest)).toBeUndefined();
        store.one.put(right);
        expect(store.other.read(digest).equals(right)).toBe(true);
        store.damage(store.one.path(digest), bad);
        // Reading says what is wrong, once; then it is not there, so that it is fetched or made again.
        expect(() => store.other.read(digest)).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
        expect(() => store.one.read(digest)).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
      }
    });

    test('only its own blobs are as one wrote them, until they change', () => {
      using store = make();
      store.one.put(right);
      const asWritten = (blobs: BlobDir): boolean => {
        const { fd } = blobs.openRead(digest);
        try {
          return blobs.isAsWritten(digest, fd);
        } finally {
          closeSync(fd);
        }
      };
      expect([asWritten(store.one), asWritten(store.other)]).toEqual([true, false]);
      store.damage(store.one.path(digest), Buffer.from('wrong bytes'));
      expect(asWritten(store.one)).toBe(false);
    });

    test('removing it does not take it from who reads, and removing nothing is fine', () => {
      using store = make();
      store.one.put(right);
      const { fd, size } = store.one.openRead(digest);
      store.other.remove(digest);
      store.other.remove(digest);
      expect([store.one.has(digest), size]).toEqual([false, right.length]);
      expect(readFileSync(fd).equals(right)).toBe(true);
      closeSync(fd);
      expect(() => store.one.openRead(digest)).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
    });

    test('two that write the same at a time both succeed', () => {
      using store = make();
      using first = store.one.ingest();
      using second = store.other.ingest();
      for (const writer of [first, second]) writer.write(right);
      expect(first.commit()).toEqual(second.commit());
      expect([...store.one.list()]).toMatchObject([{ digest, size: right.length }]);
    });

    test('no name leads out of it', () => {
      using store = make();
      for (const bad of ['', 'sha256:', 'sha256:../../etc/passwd', `sha256:${'g'.repeat(64)}`, `sha512:${'0'.repeat(64)}`])
        expect(() => store.one.path(bad as `sha256:${string}`)).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
    }); // oxfmt-ignore
  });
}
