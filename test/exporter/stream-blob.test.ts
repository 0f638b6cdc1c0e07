import { chmodSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { streamBlob } from '../../src/exporter/index.ts';
import { isDamageError } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';

const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 7) % 253));
const blob = { digest: sha256(bytes), size: bytes.length };
const read = (chunks: Iterable<Uint8Array>): Buffer =>
  Buffer.concat([...chunks].map((chunk) => Uint8Array.from(chunk)));

describe('a blob of the store as a stream', () => {
  test('is whole, from any byte on', () => {
    using opened = openStore();
    const { blobs } = opened.store;
    blobs.put(bytes);
    for (const start of [0, 1, 262_143, 262_144, 999_999, 1_000_000]) {
      const chunks: Buffer[] = [];
      for (const chunk of streamBlob(blobs, blob, start)) chunks.push(Buffer.from(chunk));
      expect(Buffer.concat(chunks).equals(bytes.subarray(start))).toBe(true);
    }
  });

  const damages: Readonly<Record<string, Buffer>> = {
    'a flipped bit': Buffer.concat([bytes.subarray(0, 500_000), Buffer.from([1]), bytes.subarray(500_001)]),
    'a byte too few': bytes.subarray(1),
    'a byte too many': Buffer.concat([bytes, Buffer.from([0])]),
    nothing: Buffer.alloc(0),
  };
  for (const [name, damaged] of Object.entries(damages)) {
    for (const start of [0, 900_000]) {
      test(`with ${name} never comes to its end from ${start} on, and is taken out of the store`, () => {
        using opened = openStore();
        const { blobs } = opened.store;
        blobs.put(bytes);
        const path = blobs.path(blob.digest);
        chmodSync(path, 0o644);
        writeFileSync(path, damaged);
        let received = 0;
        let error: unknown;
        try {
          for (const chunk of streamBlob(blobs, blob, start)) received += chunk.length;
        } catch (thrown) {
          error = thrown;
        }
        expect(isDamageError(error)).toBe(true);
        expect(received).toBeLessThan(blob.size - start);
        expect(blobs.has(blob.digest)).toBe(false);
      });
    }
  }

  test('that is not there is said to be so', () => {
    using opened = openStore();
    expect(() => read(streamBlob(opened.store.blobs, blob))).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND' }),
    );
  });
});
