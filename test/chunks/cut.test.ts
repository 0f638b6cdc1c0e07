import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_BYTES, cut } from '../../src/chunks/index.ts';
import { sha256 } from '../../src/util/index.ts';

/** Lengths of the chunks of some bytes. */
function lengthsOf(bytes: Uint8Array): number[] {
  const lengths: number[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = cut(bytes, start, bytes.length);
    lengths.push(end - start);
    start = end;
  }
  return lengths;
}

function chunksOf(bytes: Buffer): string[] {
  let start = 0;
  return lengthsOf(bytes).map((length) => sha256(bytes.subarray(start, (start += length))));
}

test('chunks are together what was cut, and within their bounds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3e6 }), fc.constantFrom('random', 'zeros', 'text'), (size, kind) => {
      const bytes =
        kind === 'random' ? randomBytes(size) : Buffer.alloc(size, kind === 'zeros' ? 0 : 'all work and no play ');
      const lengths = lengthsOf(bytes);
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(size);
      for (const length of lengths.slice(0, -1)) expect(length).toBeGreaterThan(CHUNK_BYTES.least);
      for (const length of lengths) expect(length).toBeLessThanOrEqual(CHUNK_BYTES.most);
    }),
    { numRuns: 30 },
  );
});

test('chunks of random bytes have about the usual size', () => {
  const lengths = lengthsOf(randomBytes(16 << 20));
  const mean = (16 << 20) / lengths.length;
  expect(mean).toBeGreaterThan(CHUNK_BYTES.usual * 0.7);
  expect(mean).toBeLessThan(CHUNK_BYTES.usual * 1.5);
});

test('what is inserted changes few chunks, wherever it is', () => {
  const bytes = randomBytes(8 << 20);
  for (const at of [0, 1000, 4 << 20]) {
    const inserted = Buffer.concat([bytes.subarray(0, at), Buffer.from('something new'), bytes.subarray(at)]);
    const before = new Set(chunksOf(bytes));
    const news = chunksOf(inserted).filter((chunk) => !before.has(chunk));
    expect(news.length).toBeLessThanOrEqual(3);
  }
});

test('the places of cuts are part of the format', () => {
  // Another table of numbers, or other masks, and nothing that is in a cache would be found again.
  const bytes = Buffer.concat(
    Array.from({ length: 40_000 }, (_, at) => Buffer.from(sha256(String(at)).slice(7), 'hex')),
  );
  expect(lengthsOf(bytes).slice(0, 6)).toMatchInlineSnapshot(`
    [
      87601,
      75608,
      82521,
      95066,
      66912,
      84594,
    ]
  `);
});
