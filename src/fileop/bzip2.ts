import { TsbuildError } from '../util/index.ts';

/** Decodes bzip2, one stream after another, in memory of a few blocks. Block and stream checksums are verified. */
export function* decodeBzip2(chunks: Iterable<Uint8Array>): Generator<Buffer, void, void> {
  const bits = new BitReader(chunks);
  let streams = 0;
  while (!bits.atEnd()) {
    if (bits.read(24) !== 0x42_5a_68) {
      if (streams > 0) return;
      throw damaged('it does not start like bzip2');
    }
    streams++;
    const level = bits.read(8) - 0x30;
    if (level < 1 || level > 9) throw damaged('its block size is unknown');
    const block = new Uint32Array(level * 100_000);
    let total = 0;
    for (;;) {
      const magic = bits.read(24) * 2 ** 24 + bits.read(24);
      const expected = bits.read32();
      if (magic === 0x17_72_45_38_50_90) {
        if (expected !== total >>> 0) throw damaged('its checksum does not match');
        bits.align();
        break;
      }
      if (magic !== 0x31_41_59_26_53_59) throw damaged('a block has no header');
      const { bytes, crc } = decodeBlock(bits, block);
      if (crc !== expected) throw damaged('the checksum of a block does not match');
      total = ((total << 1) | (total >>> 31)) ^ crc;
      yield bytes;
    }
  }
}

const MAX_SELECTORS = 32_768;
const GROUP = 50;

/** One block: Huffman codes, move to front, run lengths, Burrows-Wheeler, and the outer run lengths. */
function decodeBlock(bits: BitReader, block: Uint32Array): { readonly bytes: Buffer; readonly crc: number } {
  if (bits.read(1) !== 0) throw damaged('it has a randomised block, which is obsolete');
  const origin = bits.read(24);
  const symbols = readSymbols(bits);
  const alphabet = symbols.length + 2;
  const groups = bits.read(3);
  const selectorCount = bits.read(15);
  if (groups < 2 || groups > 6 || selectorCount < 1 || selectorCount > MAX_SELECTORS)
    throw damaged('a block is malformed');
  const selectors = readSelectors(bits, groups, selectorCount);
  const tables = Array.from({ length: groups }, () => readTable(bits, alphabet));
  const length = readRuns(bits, block, symbols, selectors, tables);
  if (origin >= length) throw damaged('a block has no start');
  return invert(block, length, origin);
}

function readSymbols(bits: BitReader): number[] {
  const used = bits.read(16);
  const symbols: number[] = [];
  for (let high = 0; high < 16; high++) {
    if ((used & (0x8000 >> high)) === 0) continue;
    const low = bits.read(16);
    for (let bit = 0; bit < 16; bit++) if ((low & (0x8000 >> bit)) !== 0) symbols.push(high * 16 + bit);
  }
  if (symbols.length === 0) throw damaged('a block has no symbols');
  return symbols;
}

function readSelectors(bits: BitReader, groups: number, count: number): Uint8Array {
  const order = Array.from({ length: groups }, (_, index) => index);
  return Uint8Array.from({ length: count }, () => {
    let place = 0;
    while (bits.read(1) === 1) if (++place >= groups) throw damaged('a table is out of range');
    const [table = 0] = order.splice(place, 1);
    order.unshift(table);
    return table;
  });
}

/** Canonical Huffman decoding by code length. */
interface Table {
  /** Largest code of each length, -1 for none. */
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
  readonly shortest: number;
}

const MAX_CODE = 20;

function readTable(bits: BitReader, alphabet: number): Table {
  const lengths = new Uint8Array(alphabet);
  let length = bits.read(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    while (bits.read(1) === 1) length += bits.read(1) === 0 ? 1 : -1;
    if (length < 1 || length > MAX_CODE) throw damaged('a code is malformed');
    lengths[symbol] = length;
  }
  const symbols = new Uint16Array(alphabet);
  const limit = new Int32Array(MAX_CODE + 1).fill(-1);
  const base = new Int32Array(MAX_CODE + 1);
  let code = 0;
  let index = 0;
  for (let size = 1; size <= MAX_CODE; size++) {
    base[size] = index - code;
    for (let symbol = 0; symbol < alphabet; symbol++) {
      if (lengths[symbol] !== size) continue;
      symbols[index++] = symbol;
      limit[size] = code++;
    }
    code <<= 1;
  }
  return { limit, base, symbols, shortest: Math.min(...lengths) };
}

function decodeSymbol(bits: BitReader, { limit, base, symbols, shortest }: Table): number {
  let code = bits.read(shortest);
  for (let size = shortest; size <= MAX_CODE; size++) {
    if (code <= (limit[size] as number)) return symbols[code + (base[size] as number)] as number;
    code = (code << 1) | bits.read(1);
  }
  throw damaged('a code is unknown');
}

/** Fills `block` with bytes (in the low 8 bits); returns how many. */
function readRuns(
  bits: BitReader,
  block: Uint32Array,
  symbols: readonly number[],
  selectors: Uint8Array,
  tables: readonly Table[],
): number {
  const front = Uint8Array.from(symbols);
  const end = symbols.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  let group = -1;
  for (let left = 0; ; left--) {
    if (left === 0) {
      left = GROUP;
      if (++group >= selectors.length) throw damaged('a block is too long');
    }
    const symbol = decodeSymbol(bits, tables[selectors[group] as number] as Table);
    if (symbol <= 1) {
      run += weight << symbol;
      weight <<= 1;
      if (run > block.length) throw damaged('a block is too long');
      continue;
    }
    if (run > 0) {
      if (length + run > block.length) throw damaged('a block is too long');
      block.fill(front[0] as number, length, length + run);
      length += run;
      run = 0;
      weight = 1;
    }
    if (symbol === end) return length;
    if (length >= block.length) throw damaged('a block is too long');
    const byte = front[symbol - 1] as number;
    front.copyWithin(1, 0, symbol - 1);
    front[0] = byte;
    block[length++] = byte;
  }
}

function invert(block: Uint32Array, length: number, origin: number): { readonly bytes: Buffer; readonly crc: number } {
  const starts = new Uint32Array(257);
  for (let i = 0; i < length; i++) (starts[((block[i] as number) & 0xff) + 1] as number)++;
  for (let byte = 0; byte < 256; byte++) (starts[byte + 1] as number) += starts[byte] as number;
  for (let i = 0; i < length; i++) {
    const byte = (block[i] as number) & 0xff;
    const to = starts[byte] as number;
    starts[byte] = to + 1;
    block[to] = (block[to] as number) | (i << 8);
  }
  let out = Buffer.allocUnsafe(length * 2);
  let used = 0;
  let crc = -1;
  let repeats = 0;
  let last = -1;
  let at = (block[origin] as number) >>> 8;
  for (let i = 0; i < length; i++) {
    const entry = block[at] as number;
    const byte = entry & 0xff;
    at = entry >>> 8;
    const count = repeats === 4 ? byte : 1;
    const value = repeats === 4 ? last : byte;
    if (used + count > out.length) {
      const larger = Buffer.allocUnsafe(out.length * 2 + count);
      out.copy(larger, 0, 0, used);
      out = larger;
    }
    for (let n = 0; n < count; n++) {
      out[used++] = value;
      crc = (crc << 8) ^ (CRC[((crc >>> 24) ^ value) & 0xff] as number);
    }
    if (repeats === 4) repeats = 0;
    else {
      repeats = byte === last && repeats > 0 ? repeats + 1 : 1;
      last = byte;
    }
  }
  return { bytes: out.subarray(0, used), crc: ~crc >>> 0 };
}

/** CRC-32 with the most significant bit first. */
const CRC: Int32Array = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04_c1_1d_b7 : value << 1;
  return value;
});

class BitReader {
  readonly #chunks: Iterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;
  #bits = 0;
  #count = 0;

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  atEnd(): boolean {
    return this.#count === 0 && !this.#fill();
  }

  /** Up to 24 bits. */
  read(count: number): number {
    while (this.#count < count) {
      if (!this.#fill()) throw damaged('it is cut off');
      this.#bits = ((this.#bits << 8) | (this.#chunk[this.#at++] as number)) >>> 0;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  read32(): number {
    return this.read(16) * 65_536 + this.read(16);
  }

  /** Skips to the next byte. */
  align(): void {
    this.#count -= this.#count % 8;
  }

  #fill(): boolean {
    while (this.#at >= this.#chunk.length) {
      const next = this.#chunks.next();
      if (next.done) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }
}

function damaged(why: string): TsbuildError {
  return new TsbuildError('TSB_ARCHIVE', `Cannot decompress bzip2: ${why}`);
}
