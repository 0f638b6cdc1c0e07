import type { ByteString } from './bytes.ts';

/** Most bytes of a number: 64 bits in groups of seven. */
const MAX_GROUPS = 10;

/** Numbers and texts one after the other: numbers in groups of seven bits, the lowest first (LEB128), texts with their length. */
export class ColumnWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 0;

  /** @param value an integer from 0 to 2^53 - 1 */
  number(value: number): void {
    this.#reserve(MAX_GROUPS);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  /** Any integer; those near 0 are short. */
  signed(value: bigint): void {
    this.#reserve(MAX_GROUPS * 2);
    let rest = value < 0n ? -value * 2n - 1n : value * 2n;
    for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#length++] = Number(rest);
  }

  text(text: ByteString): void {
    this.number(text.length);
    this.#reserve(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  /** Bytes whose number is known to the reader. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The column, after its length. */
  framed(): readonly Uint8Array[] {
    const length = new ColumnWriter();
    length.number(this.#length);
    return [length.#buffer.subarray(0, length.#length), this.#buffer.subarray(0, this.#length)];
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + count));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Reads what `ColumnWriter` wrote. All methods throw RangeError, with the end of a sentence, for what it cannot have written. */
export class ColumnReader {
  readonly #bytes: Buffer;
  #at: number;
  /** Where the column ends in what it is part of. */
  readonly end: number;

  private constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.end = end;
  }

  /** The column that begins at a place, with its length. */
  static framed(bytes: Buffer, at: number): ColumnReader {
    const frame = new ColumnReader(bytes, at, bytes.length);
    const length = frame.number(bytes.length);
    if (frame.#at + length > bytes.length) throw new RangeError('is cut off');
    return new ColumnReader(bytes, frame.#at, frame.#at + length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.end;
  }

  /** A number from 0 on. @param most the largest that is taken */
  number(most: number): number {
    let value = 0;
    for (let group = 0, factor = 1; group < MAX_GROUPS; group++, factor *= 0x80) {
      const byte = this.#next();
      value += (byte & 0x7f) * factor;
      if (value > most) throw new RangeError('has a number that is too large');
      if (byte < 0x80) return value;
    }
    throw new RangeError('has a number that is too long');
  }

  /** @param most the largest amount that is taken, either way */
  signed(most: bigint): bigint {
    let value = 0n;
    for (let group = 0n; group < BigInt(MAX_GROUPS); group++) {
      const byte = this.#next();
      value |= BigInt(byte & 0x7f) << (group * 7n);
      if (byte >= 0x80) continue;
      const amount = (value & 1n) === 0n ? value / 2n : -(value + 1n) / 2n;
      if (amount > most || amount < -most) throw new RangeError('has a number that is too large');
      return amount;
    }
    throw new RangeError('has a number that is too long');
  }

  text(most: number): ByteString {
    const length = this.number(most);
    const bytes = this.bytes(length);
    return this.#bytes.toString('latin1', this.#at - bytes.length, this.#at);
  }

  bytes(count: number): Uint8Array {
    if (this.#at + count > this.end) throw new RangeError('is cut off');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  #next(): number {
    if (this.#at >= this.end) throw new RangeError('is cut off');
    return this.#bytes[this.#at++] as number;
  }
}
