import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Crc64 } from '../../../src/layer/codecs/crc64.ts';
import { unxz } from '../../../src/layer/codecs/xz.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

/*
 * Files byte by byte, as xz-file-format.txt 1.2.1 has them. Whatever is wrong in one, `xz -t` says whether that is so: a reader
 * that takes more than xz does sees files where other tools see none.
 */

interface Wrong {
  /** The type of the check, and its bytes. */
  readonly check?: number;
  readonly checkBytes?: Buffer;
  /** Sizes that the block's header states. */
  readonly packed?: Buffer;
  readonly unpacked?: Buffer;
  readonly headerPadding?: number;
  readonly blockFlags?: number;
  readonly filter?: Buffer;
  readonly blockPadding?: number;
  readonly records?: readonly (readonly [unpadded: Buffer, unpacked: Buffer])[];
  readonly count?: Buffer;
  readonly indexPadding?: number;
  readonly backward?: number;
  readonly footerFlags?: number;
  readonly streamFlags?: number;
}

/** A number in the format's own encoding: seven bits a byte, the lowest first. */
function vli(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

function le32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

const padded = (bytes: Buffer, fill: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4, fill)]);
const sealed = (bytes: Buffer): Buffer => Buffer.concat([bytes, le32(crc32(bytes))]);

/** LZMA2 chunks that hold bytes as they are. */
function stored(data: Buffer, control = 1): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(data.length - 1);
  return Buffer.concat([Buffer.from([control]), size, data]);
}

const LZMA2 = Buffer.from([0x21, 1, 0]);

/** A stream of one block. */
function stream(data: Buffer, chunks: Buffer, wrong: Wrong = {}): Buffer {
  const { check = 1, streamFlags = check } = wrong;
  const flags = Buffer.from([0, streamFlags]);
  const head = Buffer.concat([Buffer.from('fd377a585a00', 'hex'), flags, le32(crc32(flags))]);
  const sizes = Buffer.concat([wrong.packed ?? Buffer.alloc(0), wrong.unpacked ?? Buffer.alloc(0)]);
  const blockFlags = wrong.blockFlags ?? (wrong.packed ? 0x40 : 0) | (wrong.unpacked ? 0x80 : 0);
  const body = Buffer.concat([Buffer.from([0, blockFlags]), sizes, wrong.filter ?? LZMA2]);
  const blockHeader = padded(body, wrong.headerPadding ?? 0);
  blockHeader[0] = blockHeader.length / 4;
  const packed = Buffer.concat([chunks, Buffer.from([0])]);
  const checkBytes = wrong.checkBytes ?? (check === 1 ? le32(crc32(data)) : createHash('sha256').update(data).digest());
  const block = Buffer.concat([sealed(blockHeader), padded(packed, wrong.blockPadding ?? 0), checkBytes]);
  const unpadded = blockHeader.length + 4 + packed.length + checkBytes.length;
  const records = wrong.records ?? [[vli(unpadded), vli(data.length)]];
  const index = sealed(
    padded(
      Buffer.concat([Buffer.from([0]), wrong.count ?? vli(records.length), ...records.flat()]),
      wrong.indexPadding ?? 0,
    ),
  );
  const footer = Buffer.concat([le32(wrong.backward ?? index.length / 4 - 1), Buffer.from([0, wrong.footerFlags ?? streamFlags])]); // prettier-ignore
  return Buffer.concat([head, block, index, le32(crc32(footer)), footer, Buffer.from('YZ')]);
}

/** The content, or what is wrong. */
async function read(file: Buffer, piece = file.length || 1): Promise<string> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < file.length; at += piece) yield file.subarray(at, at + piece);
  }
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of unxz(pieces())) chunks.push(chunk);
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return error.message;
  }
  return Buffer.concat(chunks).toString();
}

/** What xz itself makes of a file. */
function byXz(file: Buffer): string | undefined {
  const { status, stdout } = spawnSync('xz', ['-dcq'], { input: file });
  return status === 0 ? stdout.toString() : undefined;
}

const hello = Buffer.from('hello, world');
/** Of a length that leaves something to pad. */
const long = Buffer.alloc(201, 'x');
const FAILED = /^Cannot decompress the archive: /;

describe('a stream that is right', () => {
  test.each<[string, Buffer]>([
    ['without sizes', stream(hello, stored(hello))],
    ['with both sizes', stream(hello, stored(hello), { packed: vli(16), unpacked: vli(12) })],
    ['with the size of its content', stream(hello, stored(hello), { unpacked: vli(12) })],
    ['with a sha256', stream(hello, stored(hello), { check: 10 })],
    ['of two chunks', stream(hello, Buffer.concat([stored(hello.subarray(0, 5)), stored(hello.subarray(5), 2)]))],
    ['behind another one with zeros between', Buffer.concat([stream(Buffer.alloc(0), Buffer.alloc(0)), Buffer.alloc(8), stream(hello, stored(hello))])], // prettier-ignore
  ])('%s', async (_what, file) => {
    expect(byXz(file)).toBe('hello, world');
    expect(await read(file)).toBe('hello, world');
    expect(await read(file, 1)).toBe('hello, world');
  });

  test('with a check that nobody knows, which xz warns of', async () => {
    const file = stream(hello, stored(hello), { check: 2, checkBytes: Buffer.alloc(4, 1) });
    expect(spawnSync('xz', ['-dc'], { input: file })).toMatchObject({ status: 2, stdout: hello });
    expect(await read(file)).toBe('hello, world');
  });

  test('xz makes one of nothing', async () => {
    const file = execFileSync('xz', ['-c'], { input: '' });
    expect(await read(file)).toBe('');
  });
});

describe('what xz refuses is refused', () => {
  test.each<[string, Buffer]>([
    ['a packed size that is too small', stream(hello, stored(hello), { packed: vli(15) })],
    ['a packed size that is too large', stream(hello, stored(hello), { packed: vli(17) })],
    ['a packed size of nothing', stream(hello, stored(hello), { packed: vli(0) })],
    ['a size of the content that is too small', stream(hello, stored(hello), { unpacked: vli(11) })],
    ['a size of the content that is too large', stream(hello, stored(hello), { unpacked: vli(13) })],
    ['padding of the block header', stream(hello, stored(hello), { headerPadding: 1 })],
    ['padding of the block', stream(long, stored(long), { blockPadding: 1 })],
    ['padding of the index', stream(long, stored(long), { indexPadding: 1 })],
    ['flags of the block that mean nothing', stream(hello, stored(hello), { blockFlags: 4 })],
    ['another filter', stream(hello, stored(hello), { filter: Buffer.from([0x20, 1, 0]) })],
    ['a filter without properties', stream(hello, stored(hello), { filter: Buffer.from([0x21, 0]) })],
    ['a dictionary size beyond 4 GiB', stream(hello, stored(hello), { filter: Buffer.from([0x21, 1, 41]) })],
    ['a wrong check', stream(hello, stored(hello), { checkBytes: Buffer.alloc(4) })],
    ['a wrong sha256', stream(hello, stored(hello), { check: 10, checkBytes: Buffer.alloc(32) })],
    ['an index of another count', stream(hello, stored(hello), { count: vli(2) })],
    ['an index of another size', stream(hello, stored(hello), { records: [[vli(36), vli(11)]] })],
    ['an index of another packed size', stream(hello, stored(hello), { records: [[vli(40), vli(12)]] })],
    ['a number with a needless byte', stream(hello, stored(hello), { count: Buffer.from([0x81, 0]) })],
    ['a number that does not end', stream(hello, stored(hello), { count: Buffer.alloc(10, 0x81) })],
    ['a footer that points elsewhere', stream(hello, stored(hello), { backward: 5 })],
    ['a footer with other flags', stream(hello, stored(hello), { footerFlags: 4 })],
    ['flags of the stream that mean nothing', stream(hello, stored(hello), { streamFlags: 0x11 })],
    ['a chunk that needs a dictionary', stream(hello, stored(hello, 2))],
    ['a chunk of no kind', stream(hello, stored(hello, 3))],
    ['zeros behind it, but not in fours', Buffer.concat([stream(hello, stored(hello)), Buffer.alloc(3)])],
    ['zeros before it', Buffer.concat([Buffer.alloc(4), stream(hello, stored(hello))])],
  ])('%s', async (_what, file) => {
    expect(byXz(file)).toBeUndefined();
    expect(await read(file)).toMatch(FAILED);
  });

  test('a chunk that keeps the properties after the dictionary went', async () => {
    // A chunk of LZMA from xz itself, without its properties the second time. What it decodes to does not depend on what is before it.
    const text = Buffer.from('tsbuild '.repeat(40));
    const made = execFileSync('xz', ['--check=crc32', '--lzma2=dict=4KiB,lc=0,lp=0,pb=0', '-c'], { input: text });
    const start = 12 + ((made[12] as number) + 1) * 4;
    const length = made.readUInt16BE(start + 3) + 1;
    const withProperties = made.subarray(start, start + 6 + length);
    expect(withProperties[0]).toBe(0xe0);
    const stateOnly = Buffer.concat([Buffer.from([0xa0]), withProperties.subarray(1, 5), withProperties.subarray(6)]);
    const both = (first: Buffer, second: Buffer, third: Buffer): Buffer =>
      stream(Buffer.concat([text, hello, text]), Buffer.concat([first, second, third]));
    const right = both(withProperties, stored(hello, 1), withProperties);
    expect(byXz(right)).toBe(`${text.toString()}hello, world${text.toString()}`);
    expect(await read(right)).toBe(byXz(right));
    const wrong = both(withProperties, stored(hello, 1), stateOnly);
    expect(byXz(wrong)).toBeUndefined();
    expect(await read(wrong)).toMatch(FAILED);
    // With the dictionary kept, the properties hold.
    const kept = both(withProperties, stored(hello, 2), stateOnly);
    expect(byXz(kept)).toBe(byXz(right));
    expect(await read(kept)).toBe(byXz(right));
  });
});

test('a dictionary for which there would be no memory is refused by its size', async () => {
  expect(await read(stream(hello, stored(hello), { filter: Buffer.from([0x21, 1, 40]) }))).toBe(
    'Cannot decompress the archive: its dictionary of 4294967295 bytes is too large',
  );
});

test('whatever is changed in a file, we and xz agree whether it is one (property)', async () => {
  const file = stream(hello, stored(hello), { packed: vli(16), unpacked: vli(12), check: 10 });
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bad = Buffer.from(file);
      bad[at] = (bad[at] as number) ^ change;
      const found = await read(bad);
      const theirs = byXz(bad);
      if (theirs === undefined) expect(found).toMatch(FAILED);
      else expect(found).toBe(theirs);
    }),
    { numRuns: 60 },
  );
});

describe('the check of 64 bits', () => {
  const sum = (...parts: readonly Buffer[]): string => {
    const crc = new Crc64();
    for (const part of parts) crc.update(part);
    return crc.digest().reverse().toString('hex');
  };

  test('is that of the catalogue of CRCs (CRC-64/XZ)', () => {
    expect(sum(Buffer.from('123456789'))).toBe('995dc9bbdf1939fa');
    expect(sum()).toBe('0000000000000000');
  });

  test('does not depend on how the bytes come (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
        const data = Buffer.from(bytes);
        expect(sum(data.subarray(0, at), data.subarray(at))).toBe(sum(data));
      }),
    );
  });
});
