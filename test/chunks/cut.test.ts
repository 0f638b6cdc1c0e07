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

test('a cut follows from the content behind it alone, wherever that stands and whatever comes after (property)', () => {
  const pool = randomBytes(2 << 20);
  const { least, most } = CHUNK_BYTES;
  fc.assert(
    fc.property(fc.nat(1 << 20), fc.integer({ min: 1, max: 600_000 }), fc.nat(500_000), (from, size, before) => {
      const content = pool.subarray(from, from + size);
      const length = cut(content, 0, content.length);
      // In the middle of a larger buffer.
      const moved = Buffer.concat([pool.subarray(0, before), content]);
      expect(cut(moved, before, moved.length) - before).toBe(length);
      // Before something else: a chunk that did not end with the content ends where it did.
      const followed = Buffer.concat([content, Buffer.alloc(most, 1)]);
      if (length < content.length) expect(cut(followed, 0, followed.length)).toBe(length);
      // With other bytes behind the cut, and in those that no cut looks at, the first ones.
      const other = Buffer.from(content);
      other.fill(0x55, length);
      if (length < content.length || length === most) expect(cut(other, 0, other.length)).toBe(length);
      if (length > least) {
        other.fill(0x55, 0, least);
        if (length < content.length) expect(cut(other, 0, other.length)).toBe(length);
      }
    }),
    { numRuns: 60 },
  );
});

test('what is no longer than the least chunk is one, and zeros are cut at the same length again and again', () => {
  const { least, usual, most } = CHUNK_BYTES;
  expect([least, usual, most]).toEqual([16_384, 65_536, 262_144]);
  for (const size of [1, least - 1, least]) expect(cut(randomBytes(size), 0, size)).toBe(size);
  const lengths = new Set(lengthsOf(Buffer.alloc(most * 5)).slice(0, -1));
  expect(lengths.size).toBe(1);
});

test('two files that part somewhere have the same chunks before that, and soon again after it (property)', () => {
  const pool = randomBytes(3 << 20);
  fc.assert(
    fc.property(fc.nat(1 << 20), fc.nat(5000), fc.nat(5000), (at, removed, added) => {
      const changed = Buffer.concat([pool.subarray(0, at), randomBytes(added), pool.subarray(at + removed)]);
      const [one, other] = [chunksOf(pool), chunksOf(changed)];
      const lengths = lengthsOf(pool);
      let end = 0;
      // Chunks that end before the change.
      for (let number = 0; (end += lengths[number] ?? 0) <= at; number++) expect(other[number]).toBe(one[number]);
      expect(other.at(-1)).toBe(one.at(-1));
    }),
    { numRuns: 15 },
  );
});
