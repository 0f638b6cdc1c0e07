import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ZstdFrameScanner } from '../../src/layer/zstd-frames.ts';

/** The pieces that a stream is cut into, when it comes in pieces of these lengths. */
function split(stream: Buffer, ...lengths: readonly number[]): Buffer[] {
  const scanner = new ZstdFrameScanner();
  const pieces: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < stream.length; turn++) {
    const length = Math.max(1, lengths[turn % lengths.length] ?? stream.length);
    for (const piece of scanner.split(stream.subarray(at, at + length))) pieces.push(Buffer.from(piece));
    at += length;
  }
  return pieces;
}

/** Where pieces end, from the start of the stream. */
function ends(pieces: readonly Buffer[]): number[] {
  let at = 0;
  return pieces.map((piece) => (at += piece.length));
}

const skippable = (magic: number, content: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(magic);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
};
const checked = (data: Buffer): Buffer => zstdCompressSync(data, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
/** A frame without its content's size, as streams have it: RFC 8878, 3.1.1, with a window and one block. */
const raw = (data: Uint8Array, descriptor = 0x00, fields: Uint8Array = Buffer.from([0x58])): Buffer => {
  const block = Buffer.alloc(3);
  block.writeUIntLE((data.length << 3) | 1, 0, 3);
  return Buffer.concat([Buffer.from('28b52ffd', 'hex'), Buffer.from([descriptor]), fields, block, data]);
};
const text = Buffer.from('a line of text, and another one. '.repeat(100));

describe('a stream is cut where a frame ends (RFC 8878, 3.1)', () => {
  const size = (value: number, bytes: number): Buffer => {
    const field = Buffer.alloc(8);
    field.writeUInt32LE(value);
    return field.subarray(0, bytes);
  };
  test.each<[string, Buffer]>([
    ['of zlib', zstdCompressSync(text)],
    ['with a checksum', checked(text)],
    ['of nothing', zstdCompressSync(Buffer.alloc(0))],
    ['of many blocks', zstdCompressSync(Buffer.concat(Array.from({ length: 40 }, () => Buffer.from(text)).map((one, at) => one.fill(at, 0, 9))).subarray(0, 131_072 * 3))], // prettier-ignore
    ['of one byte again and again', zstdCompressSync(Buffer.alloc(1_000_000, 'x'))],
    ['without the size of its content', raw(text)],
    ['with that in one byte', raw(Buffer.alloc(200, 'y'), 0x20, size(200, 1))],
    ['with that in two bytes, less 256', raw(Buffer.alloc(600, 'y'), 0x60, size(600 - 256, 2))],
    ['with that in four bytes', raw(Buffer.alloc(600, 'y'), 0xa0, size(600, 4))],
    ['with that in eight bytes', raw(Buffer.alloc(600, 'y'), 0xe0, size(600, 8))],
    ['with a window and a size', raw(Buffer.alloc(600, 'y'), 0x40, Buffer.concat([Buffer.from([0x58]), size(600 - 256, 2)]))], // prettier-ignore
  ])('%s', (_what, frame) => {
    // It is a frame, and what is behind it begins a piece of its own, however the bytes come.
    const content = zstdDecompressSync(frame);
    const stream = Buffer.concat([frame, frame]);
    for (const length of [1, 2, 3, 7, 100, stream.length])
      expect(ends(split(stream, length))).toEqual(expect.arrayContaining([frame.length, stream.length]));
    expect(split(stream)).toEqual([frame, frame]);
    expect(zstdDecompressSync(split(stream)[1] ?? Buffer.alloc(0))).toEqual(content);
  });

  test('and so are frames that are to be skipped, of any of their sixteen kinds', () => {
    for (let kind = 0; kind < 16; kind++) {
      const skipped = skippable(0x184d2a50 + kind, Buffer.from('28b52ffd', 'hex'));
      const empty = skippable(0x184d2a50 + kind, Buffer.alloc(0));
      const frame = zstdCompressSync(text);
      expect(split(Buffer.concat([skipped, frame, empty, frame]))).toEqual([skipped, frame, empty, frame]);
    }
  });

  test('a block of one byte holds one, whatever its size says', () => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((100_000 << 3) | 0b011, 0, 3);
    block[3] = 0x7a;
    const frame = Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), block]);
    expect(zstdDecompressSync(frame).equals(Buffer.alloc(100_000, 'z'))).toBe(true);
    expect(split(Buffer.concat([frame, frame]))).toEqual([frame, frame]);
  });
});

test('nothing is lost, added or moved, whatever it is and however it comes (property)', () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => zstdCompressSync(bytes)),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => checked(Buffer.from(bytes))),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => skippable(0x184d2a5f, Buffer.from(bytes))),
  );
  const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), lengths, (frames, all) => {
      const pieces = split(Buffer.concat(frames), ...all);
      expect(Buffer.concat(pieces)).toEqual(Buffer.concat(frames));
      expect(ends(pieces)).toEqual(expect.arrayContaining(ends(frames)));
    }),
  );
  // What is no frame is handed on as it is, for the decompressor to say so.
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), lengths, (bytes, all) => {
      expect(Buffer.concat(split(Buffer.from(bytes), ...all))).toEqual(Buffer.from(bytes));
    }),
  );
});
