import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync, constants } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decompress, DEFAULT_LIMITS, type DecompressLimits } from '../../src/layer/index.ts';
import { type ArchiveCompression, isTsbuildError, sniffCompression } from '../../src/util/index.ts';

/** The decompressed bytes, or the message of the error. */
async function run(
  kind: ArchiveCompression,
  input: Buffer,
  piece: number = input.length || 1,
  limits: DecompressLimits = DEFAULT_LIMITS,
): Promise<Buffer | string> {
  const pieces = Array.from({ length: Math.ceil(input.length / piece) }, (_, index) =>
    input.subarray(index * piece, (index + 1) * piece),
  );
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of decompress(pieces, kind, limits)) chunks.push(Buffer.from(chunk));
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return error.message;
  }
  return Buffer.concat(chunks);
}

const pipe = (tool: string, args: readonly string[], input: Buffer): Buffer =>
  execFileSync(tool, args, { input, maxBuffer: 1 << 28 });

// Enough for several blocks of bzip2 and chunks of xz, and no more: decoders of our own are slow where many tests run at a time.
const text = Buffer.from(Array.from({ length: 12_000 }, (_, index) => `line ${index} of ${index % 97}\n`).join(''));
const samples: readonly Buffer[] = [
  Buffer.alloc(0),
  Buffer.from('a'),
  text,
  randomBytes(300_000),
  Buffer.concat([text, randomBytes(100_000), Buffer.alloc(2_200_000, 'x'), text]),
];

const compressors: ReadonlyArray<readonly [ArchiveCompression, string, (data: Buffer) => Buffer]> = [
  ['gzip', 'gzip', (data) => pipe('gzip', ['-c'], data)],
  ['zstd', 'zlib', (data) => zstdCompressSync(data)],
  ['zstd', 'zlib with checksum', (data) => zstdCompressSync(data, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
  ['bzip2', 'bzip2 -9', (data) => pipe('bzip2', ['-9'], data)],
  ['bzip2', 'bzip2 -1', (data) => pipe('bzip2', ['-1'], data)],
  ['xz', 'xz', (data) => pipe('xz', [], data)],
  ['xz', 'xz -0', (data) => pipe('xz', ['-0'], data)],
  ['xz', 'xz in blocks with sha256', (data) => pipe('xz', ['--block-size=200000', '--check=sha256'], data)],
  ['xz', 'xz with crc32', (data) => pipe('xz', ['--check=crc32'], data)],
  ['xz', 'xz without check', (data) => pipe('xz', ['--check=none'], data)],
  ['xz', 'xz with other parameters', (data) => pipe('xz', ['--lzma2=preset=6,lc=0,lp=2,pb=0,dict=64KiB'], data)],
];

describe.each(compressors)('%s by %s', (kind, name, compress) => {
  test('gives back what went in, in pieces of any size, and several in a row', async () => {
    for (const sample of samples) {
      const packed = compress(sample);
      expect(sniffCompression(packed)).toBe(kind);
      const whole = await run(kind, packed);
      expect(typeof whole === 'string' ? whole : whole.equals(sample)).toBe(true);
      if (packed.length < 10_000) expect((await run(kind, packed, 7)).toString()).toBe(sample.toString());
      if (sample.length > 500_000) continue;
      const twice = await run(kind, Buffer.concat([packed, packed]));
      expect(typeof twice === 'string' ? twice : twice.equals(Buffer.concat([sample, sample]))).toBe(true);
    }
  });

  test('TAR-27: garbage behind it is an error', async () => {
    const packed = compress(text);
    for (const garbage of ['garbage', '\0', 'BZ'])
      expect(await run(kind, Buffer.concat([packed, Buffer.from(garbage)]))).toMatch(
        /^Cannot decompress the archive: /,
      );
  });

  test('cut off anywhere is an error', async () => {
    const packed = compress(text.subarray(0, 5000));
    for (let end = 0; end < packed.length; end += 1 + Math.floor(packed.length / 60))
      expect(await run(kind, packed.subarray(0, end))).toMatch(/^Cannot decompress the archive: /);
  });

  test('damage gives an error of the right kind, or is without effect', async () => {
    const data = text.subarray(0, 20_000);
    const packed = compress(data);
    const hasChecksum = name !== 'zlib' && name !== 'xz without check';
    await fc.assert(
      fc.asyncProperty(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bad = Buffer.from(packed);
        bad[at] = (bad[at] ?? 0) ^ change;
        const result = await run(kind, bad);
        if (hasChecksum && typeof result !== 'string') expect(result.equals(data)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

test.each<[ArchiveCompression, string]>([
  ['bzip2', 'bzip2'],
  ['xz', 'xz'],
])('others run while %s is decoded', async (kind, tool) => {
  const packed = pipe(tool, ['-c'], randomBytes(2_000_000));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  try {
    await run(kind, packed);
  } finally {
    clearInterval(timer);
  }
  expect(turns).toBeGreaterThan(1);
});

describe('zstd frames', () => {
  test('skippable frames and many frames in one chunk', async () => {
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    // Each piece is a round through the thread pool, whatever its size.
    const content = text.subarray(0, 20_000);
    const frame = zstdCompressSync(content);
    const many = Buffer.concat([skippable, frame, skippable, skippable, frame]);
    for (const piece of [1, 11, 1000, many.length])
      expect((await run('zstd', many, piece)).length).toBe(2 * content.length);
  });

  test('TAR-26: a window of 2 GiB is refused', async () => {
    // Frame header: no content size, window descriptor of exponent 21, mantissa 0.
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0]);
    expect(await run('zstd', frame)).toMatch(/^Cannot decompress the archive: /);
  });
});

describe('TAR-26: limits', () => {
  const zeros = Buffer.alloc(12_000_000);
  test.each<[ArchiveCompression, Buffer]>([
    ['gzip', gzipSync(zeros)],
    ['gzip', Buffer.concat(Array.from({ length: 1000 }, () => gzipSync(zeros.subarray(0, 12_000))))],
    ['zstd', zstdCompressSync(zeros)],
    ['bzip2', pipe('bzip2', [], zeros)],
    ['xz', pipe('xz', [], zeros)],
  ])('%s', async (kind, packed) => {
    expect(await run(kind, packed, 1 << 20, { maxBytes: 10_000_000, maxRatio: 1e9, ratioFrom: 0 })).toContain(
      'decompression bomb',
    );
    expect(await run(kind, packed, 1 << 20, { maxBytes: 1e12, maxRatio: 20, ratioFrom: 1000 })).toContain(
      'decompression bomb',
    );
    expect((await run(kind, packed)).length).toBe(zeros.length);
  });
});
