import { TsbuildError } from '../util/index.ts';

/** Protobuf wire types that proto3 messages use (protobuf "Encoding"); groups are not among them. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A malformed message. `what` completes "Cannot read LLB: …". */
export function malformed(what: string): TsbuildError {
  return new TsbuildError('TSB_LLB', `Cannot read LLB: ${what}`);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads protobuf from untrusted bytes; never reads past the end. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  /** The next field's number and wire type. */
  tag(): { readonly field: number; readonly wireType: number } {
    const value = this.varint();
    const field = value / 8n;
    if (field < 1n || field > 0x1fff_ffffn) throw malformed(`field number ${field} is out of range`);
    return { field: Number(field), wireType: Number(value & 7n) };
  }

  /** An unsigned 64-bit varint. */
  varint(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      if (shift === 63n && byte > 1) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a number is longer than 64 bits');
  }

  bytes(): Uint8Array {
    const length = this.varint();
    const rest = this.#bytes.length - this.#offset;
    if (length > BigInt(rest)) throw malformed(`a field of ${length} bytes has only ${rest} bytes left`);
    const start = this.#offset;
    this.#offset += Number(length);
    return this.#bytes.subarray(start, this.#offset);
  }

  string(): string {
    const bytes = this.bytes();
    try {
      return UTF8.decode(bytes);
    } catch (cause) {
      throw new TsbuildError('TSB_LLB', 'Cannot read LLB: a string is not valid UTF-8', { cause });
    }
  }

  skip(wireType: number): void {
    if (wireType === wireTypes.varint) this.varint();
    else if (wireType === wireTypes.bytes) this.bytes();
    else if (wireType === wireTypes.fixed64 || wireType === wireTypes.fixed32) {
      const size = wireType === wireTypes.fixed64 ? 8 : 4;
      if (this.#bytes.length - this.#offset < size) throw malformed('a field is cut off');
      this.#offset += size;
    } else throw malformed(`wire type ${wireType} is not supported`);
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw malformed('the message is cut off');
    this.#offset++;
    return byte;
  }
}

/** Writes protobuf, nested messages in place. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(512);
  #length = 0;

  tag(field: number, wireType: number): this {
    return this.#small(field * 8 + wireType);
  }

  /** Negative numbers are written as 64-bit two's complement, which is what int32 and int64 fields do. */
  varint(value: bigint): this {
    if (value >= 0n && value < 0x8000_0000n) return this.#small(Number(value));
    this.#ensure(10);
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#small(value.length);
    this.#ensure(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  string(value: string): this {
    const size = Buffer.byteLength(value);
    this.#small(size);
    this.#ensure(size);
    this.#buffer.write(value, this.#length, size, 'utf8');
    this.#length += size;
    return this;
  }

  /** A length, and after it what `write` writes. */
  nested(write: () => void): this {
    const start = this.#length;
    // Most lengths take one byte; where it takes more, what was written moves. There is room for the longest length from the
    // start: growing the buffer keeps what is before `#length` only, and not what stands behind a length that is still to come.
    this.#ensure(5);
    this.#length = start + 1;
    write();
    const end = this.#length;
    const size = end - start - 1;
    const more = size < 0x80 ? 0 : Math.ceil((32 - Math.clz32(size)) / 7) - 1;
    this.#ensure(more);
    if (more > 0) this.#buffer.copyWithin(start + 1 + more, start + 1, end);
    this.#length = start;
    this.#small(size);
    this.#length += size;
    return this;
  }

  /** What was written; the writer is empty then, and may be used for another message. */
  finish(): Uint8Array {
    const { buffer, byteOffset } = this.#buffer;
    const written = new Uint8Array(buffer, byteOffset, this.#length).slice();
    this.#length = 0;
    return written;
  }

  #small(value: number): this {
    this.#ensure(5);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  #ensure(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
