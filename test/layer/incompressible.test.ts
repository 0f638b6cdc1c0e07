import { randomBytes } from 'node:crypto';
import { deflateRawSync, gzipSync, inflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isIncompressible, storedBlocks } from '../../src/layer/incompressible.ts';

const MIB = 1 << 20;
const text = Buffer.alloc(MIB, 'The quick brown fox jumps over the lazy dog. 0123456789\n');

describe('what deflate would gain nothing from', () => {
  test.each<[string, Buffer, boolean]>([
    ['random bytes', randomBytes(MIB), true],
    ['what is compressed already', gzipSync(randomBytes(2 * MIB)).subarray(0, MIB), true],
    ['text', text, false],
    ['zeros', Buffer.alloc(MIB), false],
    ['text in base64', Buffer.from(randomBytes(MIB).toString('base64').slice(0, MIB)), false],
    ['half text, half random', Buffer.concat([text.subarray(0, MIB / 2), randomBytes(MIB / 2)]), false],
    ['little, though it is random', randomBytes(100_000), false],
    ['nothing', Buffer.alloc(0), false],
  ])('%s: %s', (_what, block, expected) => expect(isIncompressible(block)).toBe(expected));

  test('loses little by it: where it says so, deflate saves less than a hundredth', () => {
    for (let round = 0; round < 5; round++) {
      // Random bytes of which some are others than they would be, more of them each time.
      const block = randomBytes(MIB);
      for (let at = 0; at < MIB; at += 200 >> round) block[at] = 0x20;
      if (isIncompressible(block)) expect(deflateRawSync(block).length).toBeGreaterThan(MIB * 0.99);
    }
  });
});

describe('stored blocks (RFC 1951, 3.2.4)', () => {
  test('have their length, its complement, and the bytes', () => {
    expect(storedBlocks(Buffer.from('abc'), true)).toEqual(Buffer.from([1, 3, 0, 0xfc, 0xff, 0x61, 0x62, 0x63]));
    expect(storedBlocks(Buffer.from('abc'), false)[0]).toBe(0);
    // Nothing at all is a block, too, or the end would not be marked.
    expect(storedBlocks(Buffer.alloc(0), true)).toEqual(Buffer.from([1, 0, 0, 0xff, 0xff]));
  });

  test.each([0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, MIB])('of %i bytes inflate to them', (size) => {
    const block = randomBytes(size);
    const stored = Buffer.from(storedBlocks(block, true));
    expect(inflateRawSync(stored).equals(block)).toBe(true);
    expect(stored.length).toBe(size + 5 * Math.max(1, Math.ceil(size / 65_535)));
  });

  test('go on in others, stored or not (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 70_000 }), { minLength: 1, maxLength: 4 }), (sizes) => {
        const blocks = sizes.map((size) => randomBytes(size));
        // Each is valid until the next is asked for.
        const parts = blocks.map((block) => Buffer.from(storedBlocks(block, false)));
        const whole = Buffer.concat([...parts, deflateRawSync(text)]);
        expect(inflateRawSync(whole).equals(Buffer.concat([...blocks, text]))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
