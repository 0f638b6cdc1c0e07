import { MalformedError } from './errors.ts';

/** Reads numbers and bytes from the front. Every method throws MalformedError where there is less than it reads. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes: a view, not a copy. */
  take(length: number): Buffer {
    if (length > this.left) throw new MalformedError('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  uint16(): number {
    return this.take(2).readUInt16BE();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  /** A number with its length in bits before it (RFC 9580, section 3.2), big endian without leading zeros. */
  mpi(): Buffer {
    const bytes = this.take(Math.ceil(this.uint16() / 8));
    const start = bytes.findIndex((byte) => byte !== 0);
    return start < 0 ? bytes.subarray(bytes.length) : bytes.subarray(start);
  }

  rest(): Buffer {
    return this.take(this.left);
  }

  end(): void {
    if (this.left > 0) throw new MalformedError('there is more than belongs there');
  }
}

/** A number with zeros before it, so that it has as many bytes. @throws MalformedError for a larger one */
export function padded(number: Buffer, length: number): Buffer {
  if (number.length > length) throw new MalformedError('a number is too large');
  return Buffer.concat([Buffer.alloc(length - number.length), number]);
}
