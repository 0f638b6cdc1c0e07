import { COMPRESSION_MAGICS, TsbuildError } from '../../util/index.ts';
import { ByteSource } from './byte-source.ts';

/** No compressed block is longer: 900,000 symbols of 20 bits, and the tables. */
const MAX_BLOCK = 2_400_000;
const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const GROUP = 50;
const MAX_CODE_LENGTH = 20;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

/**
 * Decompresses bzip2, one block (up to 900 kB) at a time; several streams in a row are one.
 * @throws TsbuildError `TSB_ARCHIVE`
 */
export async function* bunzip2(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const source = new ByteSource(input);
  try {
    for (let streams = 0; (await source.ensure(1)) || streams === 0; streams++) {
      await source.ensure(4);
      const { buffer, position } = source;
      const level = (buffer[position + 3] ?? 0) - 0x30;
      if (!COMPRESSION_MAGICS.bzip2.every((byte, index) => buffer[position + index] === byte) || level < 1 || level > 9)
        fail(streams === 0 ? 'it is not bzip2' : 'other bytes follow the compressed data');
      source.position += 4;
      yield* readStream(source, level * 100_000);
    }
  } finally {
    await source.close();
  }
}

async function* readStream(source: ByteSource, blockSize: number): AsyncGenerator<Buffer> {
  const bits = new BitReader(source);
  const work = new Uint32Array(blockSize);
  let combined = 0;
  for (;;) {
    await source.ensure(MAX_BLOCK);
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    const crc = bits.read(16) * 2 ** 16 + bits.read(16);
    if (magic === END_MAGIC) {
      if (crc !== combined) fail('the checksum of the stream is wrong');
      bits.align();
      return;
    }
    if (magic !== BLOCK_MAGIC) fail('a block starts wrong');
    const block = readBlock(bits, work);
    if (checksum(block) !== crc) fail('the checksum of a block is wrong');
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
    yield block;
  }
}

function fail(reason: string): never {
  throw new TsbuildError('TSB_ARCHIVE', `Cannot decompress the archive: ${reason}`);
}

/** Bits of the source, the highest of a byte first. */
class BitReader {
  readonly #source: ByteSource;
  #bits = 0;
  #count = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** At most 24 bits. */
  read(count: number): number {
    while (this.#count < count) {
      const source = this.#source;
      const byte = source.buffer[source.position++];
      if (byte === undefined) fail('unexpected end of file');
      this.#bits = ((this.#bits << 8) | byte) >>> 0;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  /** Drops what is left of the current byte. */
  align(): void {
    this.#count = 0;
  }
}

/** Symbols by code length: for each length the first code, and where its symbols start. */
interface HuffmanTable {
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
  readonly shortest: number;
}

function readBlock(bits: BitReader, work: Uint32Array): Buffer {
  if (bits.read(1) !== 0) fail('randomised blocks of bzip2 0.9 are not supported');
  const origin = bits.read(24);
  const used = readUsedBytes(bits);
  const { tables, selectors } = readTables(bits, used.length + 2);
  const length = readSymbols(bits, work, used, tables, selectors);
  if (origin >= length) fail('a block points outside of itself');
  return unRun(work, length, origin);
}

function readUsedBytes(bits: BitReader): number[] {
  const ranges = bits.read(16);
  const used: number[] = [];
  for (let range = 0; range < 16; range++) {
    if (!(ranges & (0x8000 >> range))) continue;
    const map = bits.read(16);
    for (let index = 0; index < 16; index++) if (map & (0x8000 >> index)) used.push(range * 16 + index);
  }
  if (used.length === 0) fail('a block uses no bytes');
  return used;
}

function readTables(bits: BitReader, alphabet: number): { tables: HuffmanTable[]; selectors: Uint8Array } {
  const count = bits.read(3);
  const selectorCount = bits.read(15);
  if (count < 2 || count > 6 || selectorCount === 0) fail('a block has wrong tables');
  const order = Array.from({ length: count }, (_, index) => index);
  const selectors = new Uint8Array(selectorCount);
  for (let index = 0; index < selectorCount; index++) {
    let place = 0;
    while (bits.read(1)) if (++place >= count) fail('a block has wrong selectors');
    order.unshift(...order.splice(place, 1));
    selectors[index] = order[0] as number;
  }
  const tables: HuffmanTable[] = [];
  for (let table = 0; table < count; table++) {
    const lengths = new Uint8Array(alphabet);
    let length = bits.read(5);
    for (let symbol = 0; symbol < alphabet; symbol++) {
      for (;;) {
        if (length < 1 || length > MAX_CODE_LENGTH) fail('a block has wrong code lengths');
        if (!bits.read(1)) break;
        length += bits.read(1) ? -1 : 1;
      }
      lengths[symbol] = length;
    }
    tables.push(makeTable(lengths));
  }
  return { tables, selectors };
}

function makeTable(lengths: Uint8Array): HuffmanTable {
  const counts = new Int32Array(MAX_CODE_LENGTH + 2);
  for (const length of lengths) counts[length] = (counts[length] as number) + 1;
  const symbols = new Uint16Array(lengths.length);
  const limit = new Int32Array(MAX_CODE_LENGTH + 2).fill(-1);
  const base = new Int32Array(MAX_CODE_LENGTH + 2);
  let code = 0;
  let index = 0;
  let shortest = 0;
  for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
    const count = counts[length] as number;
    if (count > 0 && shortest === 0) shortest = length;
    base[length] = index - code;
    for (const [symbol, own] of lengths.entries()) if (own === length) symbols[index++] = symbol;
    code += count;
    limit[length] = code - 1;
    code <<= 1;
  }
  return { limit, base, symbols, shortest };
}

/** Huffman codes, zero runs and move-to-front: gives the last column of the sorted block in the low bytes of `work`. */
function readSymbols(
  bits: BitReader,
  work: Uint32Array,
  used: readonly number[],
  tables: readonly HuffmanTable[],
  selectors: Uint8Array,
): number {
  const front = Uint8Array.from(used);
  const end = used.length + 1;
  let length = 0;
  let run = 0;
  let runBit = 1;
  let group = 0;
  let left = 0;
  let table = tables[0] as HuffmanTable;
  for (;;) {
    if (left-- === 0) {
      const selector = selectors[group++];
      if (selector === undefined) fail('a block has too few selectors');
      table = tables[selector] as HuffmanTable;
      left = GROUP - 1;
    }
    const symbol = readSymbol(bits, table);
    if (symbol < 2) {
      if (runBit > work.length) fail('a block is too long');
      run += runBit << symbol;
      runBit <<= 1;
      continue;
    }
    if (run > 0) {
      if (length + run > work.length) fail('a block is too long');
      work.fill(front[0] as number, length, length + run);
      length += run;
      run = 0;
      runBit = 1;
    }
    if (symbol === end) return length;
    if (length >= work.length) fail('a block is too long');
    const place = symbol - 1;
    const byte = front[place] as number;
    front.copyWithin(1, 0, place);
    front[0] = byte;
    work[length++] = byte;
  }
}

function readSymbol(bits: BitReader, table: HuffmanTable): number {
  let length = table.shortest;
  let code = bits.read(length);
  while (code > (table.limit[length] as number)) {
    if (++length > MAX_CODE_LENGTH) fail('a code is wrong');
    code = (code << 1) | bits.read(1);
  }
  return table.symbols[code + (table.base[length] as number)] ?? fail('a code is wrong');
}

/** Undoes the sorting (Burrows-Wheeler) and the run-length coding before it. */
function unRun(work: Uint32Array, length: number, origin: number): Buffer {
  const starts = new Uint32Array(257);
  for (let index = 0; index < length; index++) {
    const next = ((work[index] as number) & 0xff) + 1;
    starts[next] = (starts[next] as number) + 1;
  }
  for (let byte = 1; byte < 257; byte++) starts[byte] = (starts[byte] as number) + (starts[byte - 1] as number);
  for (let index = 0; index < length; index++) {
    const byte = (work[index] as number) & 0xff;
    const place = starts[byte] as number;
    starts[byte] = place + 1;
    work[place] = (work[place] as number) | (index << 8);
  }
  let output = Buffer.allocUnsafe(length + (length >> 3) + 1024);
  let used = 0;
  let at = (work[origin] as number) >>> 8;
  let same = 0;
  let last = -1;
  for (let index = 0; index < length; index++) {
    const entry = work[at] as number;
    const byte = entry & 0xff;
    at = entry >>> 8;
    // Four equal bytes are followed by a count of more.
    const repeat = same === 4 ? byte : 1;
    if (used + repeat > output.length) output = Buffer.concat([output, Buffer.allocUnsafe(output.length)]);
    if (same === 4) {
      output.fill(last, used, used + repeat);
      used += repeat;
      same = 0;
      last = -1;
      continue;
    }
    output[used++] = byte;
    same = byte === last ? same + 1 : 1;
    last = byte;
  }
  return output.subarray(0, used);
}

function checksum(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (let index = 0; index < bytes.length; index++)
    crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ (bytes[index] as number)] as number);
  return ~crc >>> 0;
}
