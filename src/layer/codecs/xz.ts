import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { COMPRESSION_MAGICS, TsbuildError } from '../../util/index.ts';
import { ByteSource } from './byte-source.ts';
import { Crc64 } from './crc64.ts';
import { Lzma2Decoder, LzmaFault } from './lzma2.ts';

/** `xz -9` uses 64 MiB; larger ones are for special purposes and attacks. */
const MAX_DICTIONARY = 256 << 20;
const MAGIC = Buffer.from(COMPRESSION_MAGICS.xz);

/** Bytes of the check behind every block, by its type (xz-file-format section 2.1.1.2). */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/**
 * Decompresses xz: any number of streams and blocks with the LZMA2 filter alone, all checks verified.
 * @throws TsbuildError `TSB_ARCHIVE`
 */
export async function* unxz(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const source = new ByteSource(input);
  try {
    let first = true;
    while (first || (await skipPadding(source))) {
      yield* readStream(source, first);
      first = false;
    }
  } catch (error) {
    if (error instanceof LzmaFault) fail(error.message);
    throw error;
  } finally {
    await source.close();
  }
}

function fail(reason: string): never {
  throw new TsbuildError('TSB_ARCHIVE', `Cannot decompress the archive: ${reason}`);
}

/** The next bytes. */
async function take(source: ByteSource, count: number): Promise<Buffer> {
  if (!(await source.ensure(count))) fail('unexpected end of file');
  const { buffer, position } = source;
  source.position += count;
  return buffer.subarray(position, position + count);
}

/** Zeros in fours may stand between streams; false at the end of the input. */
async function skipPadding(source: ByteSource): Promise<boolean> {
  while (await source.ensure(1)) {
    if (source.buffer[source.position] !== 0) return true;
    if ((await take(source, 4)).readUInt32LE(0) !== 0) fail('other bytes follow the compressed data');
  }
  return false;
}

async function* readStream(source: ByteSource, first: boolean): AsyncGenerator<Buffer> {
  if (!(await source.ensure(12))) fail(first ? 'unexpected end of file' : 'other bytes follow the compressed data');
  const header = Buffer.from(await take(source, 12));
  if (!header.subarray(0, 6).equals(MAGIC)) fail(first ? 'it is not xz' : 'other bytes follow the compressed data');
  const flags = header.readUInt16BE(6);
  if (crc32(header.subarray(6, 8)) !== header.readUInt32LE(8) || flags > 15) fail('the stream header is damaged');
  const sizes: { readonly unpadded: number; readonly uncompressed: number }[] = [];
  for (;;) {
    const size = (await take(source, 1))[0] as number;
    if (size === 0) break;
    const block = { unpadded: 0, uncompressed: 0 };
    yield* readBlock(source, (size + 1) * 4, flags, block);
    sizes.push(block);
  }
  await readIndex(source, sizes, flags);
}

async function* readBlock(
  source: ByteSource,
  headerSize: number,
  check: number,
  result: { unpadded: number; uncompressed: number },
): AsyncGenerator<Buffer> {
  const header = Buffer.concat([Buffer.from([headerSize / 4 - 1]), await take(source, headerSize - 1)]);
  const stated = readBlockHeader(header);
  const decoder = new Lzma2Decoder(stated.dictionarySize);
  const checker = newCheck(check);
  let packed = 0;
  for (;;) {
    const control = (await take(source, 1))[0] as number;
    packed++;
    if (control === 0) break;
    let output: Buffer;
    if (control >= 0x80) {
      const fields = await take(source, control >= 0xc0 ? 5 : 4);
      const size = ((control & 0x1f) << 16) + fields.readUInt16BE(0) + 1;
      const length = fields.readUInt16BE(2) + 1;
      const properties = control >= 0xc0 ? (fields[4] as number) : 0;
      packed += fields.length + length;
      output = decoder.decode(await take(source, length), size, (control >> 5) & 3, properties);
    } else {
      if (control > 2) fail('a chunk is of an unknown kind');
      const length = (await take(source, 2)).readUInt16BE(0) + 1;
      packed += 2 + length;
      output = decoder.copy(await take(source, length), control === 1);
    }
    checker?.update(output);
    result.uncompressed += output.length;
    // The window is written again with the next chunk, while the consumer may still hold this one.
    yield Buffer.from(output);
  }
  if (packed !== (stated.packed ?? packed) || result.uncompressed !== (stated.unpacked ?? result.uncompressed))
    fail('a block has another size than its header says');
  const padding = (4 - (packed % 4)) % 4;
  if ((await take(source, padding)).some((byte) => byte !== 0)) fail('the padding of a block is damaged');
  const sum = await take(source, CHECK_SIZES[check] as number);
  if (checker && !checker.digest().equals(sum)) fail('the checksum of a block is wrong');
  result.unpadded = headerSize + packed + sum.length;
}

/** What the header of a block says; sizes only where it has them. */
interface BlockHeader {
  readonly dictionarySize: number;
  readonly packed: number | undefined;
  readonly unpacked: number | undefined;
}

/** Checks a block header. Whatever xz refuses is refused: else one file would be two, depending on who reads it. */
function readBlockHeader(block: Buffer): BlockHeader {
  const end = block.length - 4;
  const header = block.subarray(0, end);
  if (crc32(header) !== block.readUInt32LE(end)) fail('a block header is damaged');
  const flags = header[1] as number;
  let at = 2;
  const number = (): number => {
    const [value, next] = readVarint(header, at);
    at = next;
    return value;
  };
  if (flags & 0x3c) fail('a block header has unknown flags');
  const packed = flags & 0x40 ? number() : undefined;
  const unpacked = flags & 0x80 ? number() : undefined;
  const filter = number();
  if ((flags & 3) !== 0 || filter !== 0x21 || number() !== 1) fail('it uses xz filters other than LZMA2');
  const bits = header[at++] ?? fail('a block header is cut off');
  if (header.subarray(at).some((byte) => byte !== 0)) fail('the padding of a block header is damaged');
  if (bits > 40) fail('the dictionary size is wrong');
  const dictionarySize = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (dictionarySize > MAX_DICTIONARY) fail(`its dictionary of ${dictionarySize} bytes is too large`);
  return { dictionarySize, packed, unpacked };
}

function readVarint(buffer: Buffer, start: number): readonly [value: number, next: number] {
  let value = 0;
  for (let index = 0; index < 8; index++) {
    const byte = buffer[start + index] ?? fail('a number is cut off');
    value += (byte & 0x7f) * 2 ** (7 * index);
    // There is one way to write a number.
    if (byte === 0 && index > 0) fail('a number is longer than it needs to be');
    if (byte < 0x80) return [value, start + index + 1];
  }
  return fail('a number is too large');
}

/** The index repeats what the blocks said of their sizes; the footer ends the stream. */
async function readIndex(
  source: ByteSource,
  sizes: readonly { readonly unpadded: number; readonly uncompressed: number }[],
  flags: number,
): Promise<void> {
  const bytes = [0];
  const number = async (): Promise<number> => {
    const start = bytes.length;
    do bytes.push((await take(source, 1))[0] as number);
    while ((bytes.at(-1) as number) >= 0x80 && bytes.length - start < 9);
    return readVarint(Buffer.from(bytes.slice(start)), 0)[0];
  };
  const wrong = 'the index is damaged';
  if ((await number()) !== sizes.length) fail(wrong);
  for (const size of sizes)
    if ((await number()) !== size.unpadded || (await number()) !== size.uncompressed) fail(wrong);
  while (bytes.length % 4 !== 0) {
    if ((await take(source, 1))[0] !== 0) fail(wrong);
    bytes.push(0);
  }
  const index = Buffer.from(bytes);
  if ((await take(source, 4)).readUInt32LE(0) !== crc32(index)) fail(wrong);
  const footer = await take(source, 12);
  const sound =
    crc32(footer.subarray(4, 10)) === footer.readUInt32LE(0) &&
    (footer.readUInt32LE(4) + 1) * 4 === index.length + 4 &&
    footer.readUInt16BE(8) === flags &&
    footer.toString('latin1', 10, 12) === 'YZ';
  if (!sound) fail('the stream footer is damaged');
}

interface Check {
  update(bytes: Buffer): void;
  digest(): Buffer;
}

/** The checker of a type; undefined for types that are not in use, whose bytes are passed over. */
function newCheck(type: number): Check | undefined {
  if (type === 1) {
    let value = 0;
    return {
      update: (bytes) => {
        value = crc32(bytes, value);
      },
      digest: () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32LE(value);
        return bytes;
      },
    };
  }
  if (type === 4) return new Crc64();
  if (type === 10) {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
  }
  return undefined;
}
