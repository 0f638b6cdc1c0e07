import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { TsbuildError } from '../util/index.ts';
import { Lzma2Decoder } from './lzma2.ts';

/** Dictionaries beyond this are refused; `xz -9` uses 64 MiB. */
const MAX_DICTIONARY = 1 << 28;
const CHECK_BYTES: Readonly<Record<number, number>> = { 0: 0, 1: 4, 4: 8, 10: 32 };

/** Decodes .xz (xz-file-format 1.2) with the LZMA2 filter alone, one stream after another. Checks are verified. */
export function* decodeXz(chunks: Iterable<Uint8Array>): Generator<Buffer, void, void> {
  const input = new ByteReader(chunks);
  while (!input.atEnd()) {
    const header = input.take(12);
    if (header.every((byte) => byte === 0)) continue;
    if (header.toString('latin1', 0, 6) !== '\xfd7zXZ\0') throw damaged('it does not start like xz');
    if (header.readUInt32LE(8) !== crc32(header.subarray(6, 8))) throw damaged('its header is damaged');
    const check = header[7] ?? 0;
    if (header[6] !== 0 || CHECK_BYTES[check] === undefined) throw damaged('its kind of checksum is unknown');
    const sizes: number[] = [];
    for (let first = input.byte(); first !== 0; first = input.byte()) {
      sizes.push(yield* decodeBlock(input, first, check));
    }
    skipIndex(input, sizes);
    const footer = input.take(12);
    if (footer.toString('latin1', 10) !== 'YZ' || footer.readUInt32LE(0) !== crc32(footer.subarray(4, 10))) {
      throw damaged('its footer is damaged');
    }
    while (!input.atEnd() && input.peek() === 0) input.take(4);
  }
}

/** Yields the block's content and returns its size. */
function* decodeBlock(input: ByteReader, first: number, check: number): Generator<Buffer, number, void> {
  const header = Buffer.concat([Buffer.of(first), input.take((first + 1) * 4 - 1)]);
  const end = header.length - 4;
  if (header.readUInt32LE(end) !== crc32(header.subarray(0, end))) throw damaged('a block header is damaged');
  const dictionary = readDictionary(header);
  const decoder = new Lzma2Decoder(dictionary);
  const verify = verifier(check);
  const start = input.offset;
  let size = 0;
  for (let control = input.byte(); control !== 0; control = input.byte()) {
    const bytes = decodeChunk(input, decoder, control);
    size += bytes.length;
    verify.update(bytes);
    yield bytes;
  }
  while ((input.offset - start) % 4 !== 0) if (input.byte() !== 0) throw damaged('the padding of a block is not zero');
  if (!verify.matches(input.take(CHECK_BYTES[check] ?? 0))) throw damaged('the checksum of a block does not match');
  return size;
}

function decodeChunk(input: ByteReader, decoder: Lzma2Decoder, control: number): Buffer {
  if (control < 0x80) {
    if (control > 2) throw damaged('a chunk is malformed');
    return decoder.store(input.take(input.byte() * 256 + input.byte() + 1), control === 1);
  }
  const size = (control & 0x1f) * 65_536 + input.byte() * 256 + input.byte() + 1;
  const packed = input.byte() * 256 + input.byte() + 1;
  const reset = (control >> 5) & 3;
  const properties = reset >= 2 ? input.byte() : 0;
  return decoder.decode(input.take(packed), size, reset, properties);
}

/** The dictionary size that a block header asks for; its only filter has to be LZMA2. */
function readDictionary(header: Buffer): number {
  const flags = header[1] ?? 0;
  let at = 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = header[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  if ((flags & 0x40) !== 0) number();
  if ((flags & 0x80) !== 0) number();
  if ((flags & 3) !== 0 || number() !== 0x21 || number() !== 1) throw damaged('it uses a filter other than LZMA2');
  const bits = header[at] ?? 0;
  const size = bits >= 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (size > MAX_DICTIONARY) throw damaged('its dictionary is larger than 256 MiB');
  return size;
}

/** The index repeats the sizes of the blocks; its first byte was read. */
function skipIndex(input: ByteReader, sizes: readonly number[]): void {
  const start = input.offset - 1;
  const bytes: number[] = [0];
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = input.byte();
      bytes.push(byte);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  if (number() !== sizes.length) throw damaged('its index does not match');
  for (const size of sizes) {
    number();
    if (number() !== size) throw damaged('its index does not match');
  }
  while ((input.offset - start) % 4 !== 0) bytes.push(input.byte());
  if (input.take(4).readUInt32LE(0) !== crc32(Uint8Array.from(bytes))) throw damaged('its index is damaged');
}

interface Verifier {
  update(bytes: Buffer): void;
  matches(expected: Buffer): boolean;
}

function verifier(check: number): Verifier {
  if (check === 1) {
    let value = 0;
    return {
      update: (bytes) => void (value = crc32(bytes, value)),
      matches: (expected) => expected.readUInt32LE(0) === value,
    };
  }
  if (check === 4) return crc64();
  if (check === 10) {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), matches: (expected) => hash.digest().equals(expected) };
  }
  return { update: () => {}, matches: () => true };
}

/** CRC-64 (ECMA-182, reflected) in two halves. */
function crc64(): Verifier {
  let low = -1;
  let high = -1;
  return {
    update: (bytes) => {
      const [lows, highs] = CRC64;
      for (const byte of bytes) {
        const index = (low ^ byte) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (lows[index] as number);
        high = (high >>> 8) ^ (highs[index] as number);
      }
    },
    matches: (expected) => expected.readInt32LE(0) === ~low && expected.readInt32LE(4) === ~high,
  };
}

const CRC64: readonly [Int32Array, Int32Array] = makeCrc64();

function makeCrc64(): readonly [Int32Array, Int32Array] {
  const lows = new Int32Array(256);
  const highs = new Int32Array(256);
  for (let index = 0; index < 256; index++) {
    let low = index;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const odd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        low ^= 0xd7_87_0f_42;
        high ^= 0xc9_6c_57_95;
      }
    }
    lows[index] = low;
    highs[index] = high;
  }
  return [lows, highs];
}

class ByteReader {
  readonly #chunks: Iterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes read so far. */
  offset = 0;

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  atEnd(): boolean {
    while (this.#at >= this.#chunk.length) {
      const next = this.#chunks.next();
      if (next.done) return true;
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
      this.#at = 0;
    }
    return false;
  }

  peek(): number {
    return this.#chunk[this.#at] as number;
  }

  byte(): number {
    if (this.atEnd()) throw damaged('it is cut off');
    this.offset++;
    return this.#chunk[this.#at++] as number;
  }

  take(count: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = count; left > 0;) {
      if (this.atEnd()) throw damaged('it is cut off');
      const part = this.#chunk.subarray(this.#at, this.#at + left);
      parts.push(part);
      this.#at += part.length;
      left -= part.length;
    }
    this.offset += count;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}

function damaged(why: string): TsbuildError {
  return new TsbuildError('TSB_ARCHIVE', `Cannot decompress xz: ${why}`);
}
