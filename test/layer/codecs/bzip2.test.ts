import { execFileSync, spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bunzip2 } from '../../../src/layer/codecs/bzip2.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

const bzip2 = (data: Buffer, level = 9): Buffer => execFileSync('bzip2', [`-${level}`], { input: data });

/** The content, or what is wrong. */
async function read(file: Buffer, piece = file.length || 1): Promise<Buffer | string> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < file.length; at += piece) yield file.subarray(at, at + piece);
  }
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of bunzip2(pieces())) chunks.push(chunk);
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return error.message.replace('Cannot decompress the archive: ', '');
  }
  return Buffer.concat(chunks);
}

/** Bits of a file, to write one by hand. */
function bits(...fields: readonly (readonly [value: number, count: number])[]): Buffer {
  const all = fields.map(([value, count]) => value.toString(2).padStart(count, '0').slice(-count)).join('');
  const whole = all.padEnd(Math.ceil(all.length / 8) * 8, '0');
  return Buffer.from(Array.from({ length: whole.length / 8 }, (_, at) => Number.parseInt(whole.slice(at * 8, at * 8 + 8), 2))); // prettier-ignore
}

const HEAD = [[0x425a, 16], [0x68, 8], [0x39, 8]] as const; // prettier-ignore
const BLOCK = [[0x314159, 24], [0x265359, 24], [0, 16], [0, 16]] as const; // prettier-ignore
/** Not randomised, its origin, and that the byte "a" is used. */
const ONE_BYTE = [[0, 1], [0, 24], [0x0200, 16], [0x4000, 16]] as const; // prettier-ignore

describe('blocks', () => {
  test('runs of every length around where they are coded otherwise', async () => {
    // Four equal bytes are followed by how many more there are, up to 255.
    const runs = [1, 3, 4, 5, 6, 255, 258, 259, 260, 263, 518, 519, 1000];
    const data = Buffer.concat(runs.flatMap((length, at) => [Buffer.alloc(length, 0x61 + (at % 3)), Buffer.from('|')]));
    expect(await read(bzip2(data))).toEqual(data);
  });

  test('a run that goes over the end of a block', async () => {
    // A block of level 1 holds 99,981 bytes after run-length coding; a pattern without runs fills it to just before.
    const pattern = Buffer.from(Array.from({ length: 99_970 }, (_, at) => 97 + (at % 2)));
    const data = Buffer.concat([pattern, Buffer.alloc(600, 'c'), pattern]);
    const packed = bzip2(data, 1);
    expect(await read(packed)).toEqual(data);
    expect(await read(packed, 13)).toEqual(data);
  });

  test('every byte, and one alone', async () => {
    const all = Buffer.from(Array.from({ length: 256 * 20 }, (_, at) => at & 255));
    expect(await read(bzip2(all))).toEqual(all);
    for (const byte of [0, 127, 255]) {
      const one = Buffer.from([byte]);
      expect(await read(bzip2(one))).toEqual(one);
    }
  });

  test('any bytes come back, in pieces of any size (property)', async () => {
    const runs = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 300 })), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(runs, fc.integer({ min: 1, max: 50 }), async (list, piece) => {
        const data = Buffer.concat(list.map(([byte, length]) => Buffer.alloc(length, byte * 60)));
        expect(await read(bzip2(data), piece)).toEqual(data);
      }),
      { numRuns: 25 },
    );
  });
});

describe('what is wrong is said', () => {
  const good = bzip2(Buffer.from('hello, world'));
  const changed = (at: number, value: number): Buffer => {
    const bad = Buffer.from(good);
    bad[at] = value;
    return bad;
  };

  test.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'it is not bzip2'],
    ['another format', Buffer.from('PK\u0003\u0004'), 'it is not bzip2'],
    ['level 0', changed(3, 0x30), 'it is not bzip2'],
    ['a level beyond 9', changed(3, 0x3a), 'it is not bzip2'],
    ['bzip 0.21', changed(2, 0x30), 'it is not bzip2'],
    ['a block that begins otherwise', changed(4, 0x32), 'a block starts wrong'],
    ['a wrong checksum of a block', changed(10, (good[10] as number) ^ 1), 'the checksum of a block is wrong'],
    ['a header alone', bits(...HEAD), 'unexpected end of file'],
    ['randomised', bits(...HEAD, ...BLOCK, [1, 1], [0, 24], [0, 16]), 'randomised blocks of bzip2 0.9 are not supported'],
    ['no byte in use', bits(...HEAD, ...BLOCK, [0, 1], [0, 24], [0, 16], [0, 24]), 'a block uses no bytes'],
    ['one table', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [1, 3], [1, 15]), 'a block has wrong tables'],
    ['seven tables', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [7, 3], [1, 15]), 'a block has wrong tables'],
    ['no selectors', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [2, 3], [0, 15]), 'a block has wrong tables'],
    ['a selector of no table', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [2, 3], [1, 15], [3, 2]), 'a block has wrong selectors'],
    ['a code of no bits', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [2, 3], [1, 15], [0, 1], [0, 5], [0, 8]), 'a block has wrong code lengths'],
    ['a code of 21 bits', bits(...HEAD, ...BLOCK, ...ONE_BYTE, [2, 3], [1, 15], [0, 1], [20, 5], [0b10, 2], [0, 8]), 'a block has wrong code lengths'],
  ])('%s', async (_what, file, message) => expect(await read(file)).toBe(message)); // prettier-ignore

  /** A block with both tables alike: codes of two bits for the run symbols 0 and 1 and the end, and then the symbols. */
  const coded = (origin: number, symbols: readonly number[], selectors = 1): Buffer =>
    bits(
      ...HEAD, ...BLOCK, [0, 1], [origin, 24], [0x0200, 16], [0x4000, 16], [2, 3], [selectors, 15], [0, selectors],
      ...[0, 1].flatMap(() => [[2, 5], [0, 3]] as const), ...symbols.map((symbol) => [symbol, 2] as const), [0, 64],
    ); // prettier-ignore

  test('a block that holds nothing', async () => {
    expect(await read(coded(0, [2]))).toBe('a block points outside of itself');
  });

  test('a block that begins where it has nothing', async () => {
    expect(await read(coded(1, [0, 2]))).toBe('a block points outside of itself');
    expect(await read(coded(0, [0, 2]))).toBe('the checksum of a block is wrong');
  });

  test('a run that is longer than any block ends at once', async () => {
    // Each run symbol doubles it: 2^40 bytes would be asked for by forty of them.
    expect(await read(coded(0, [...Array.from({ length: 45 }, () => 1), 2]))).toBe('a block is too long');
  });

  test('a block of more symbols than selectors are for', async () => {
    const many = Array.from({ length: 60 }, () => 0);
    expect(await read(coded(0, many))).toMatch(/^a block (?:has too few selectors|is too long)$/);
  });

  test('a wrong checksum of the stream, though each block is right', async () => {
    // The last 10 bytes hold the end mark and the sum, at any bit; the last whole byte before the padding belongs to the sum.
    const bad = Buffer.from(good);
    bad[bad.length - 2] = (bad[bad.length - 2] as number) ^ 0x10;
    expect(await read(bad)).toBe('the checksum of the stream is wrong');
  });

  test('other bytes behind it, be they the beginning of a stream', async () => {
    for (const [tail, message] of [
      ['x', 'other bytes follow the compressed data'],
      ['BZh', 'other bytes follow the compressed data'],
      ['BZh9', 'unexpected end of file'],
    ] as const)
      expect(await read(Buffer.concat([good, Buffer.from(tail)]))).toBe(message);
  });
});

test('whatever is changed in a file, bzip2 reads no other bytes of it than we do (property)', async () => {
  const data = Buffer.from('a man, a plan, a canal: panama. '.repeat(20));
  const file = bzip2(data);
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bad = Buffer.from(file);
      bad[at] = (bad[at] as number) ^ change;
      const found = await read(bad);
      const { status, stdout } = spawnSync('bzip2', ['-dcq'], { input: bad });
      if (status === 0) expect(found).toEqual(stdout);
      else expect(typeof found).toBe('string');
    }),
    { numRuns: 60 },
  );
});
