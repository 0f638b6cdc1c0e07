import { MalformedError } from './errors.ts';

/** Reads values in the encoding of RFC 4251, section 5. Every method throws MalformedError where the bytes do not hold what it reads. */
export class WireReader {
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

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  /** Bytes with their length before them. */
  string(): Buffer {
    return this.take(this.uint32());
  }

  /** A positive number, big endian without leading zeros. */
  mpint(): Buffer {
    const bytes = this.string();
    if (bytes.length > 0 && bytes.readUInt8() > 0x7f) throw new MalformedError('a number is negative');
    const start = bytes.findIndex((byte) => byte !== 0);
    if (start < 0) throw new MalformedError('a number is zero');
    return bytes.subarray(start);
  }

  end(): void {
    if (this.left > 0) throw new MalformedError('there is more than belongs there');
  }
}

/** RFC 4251, section 5. */
export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Text or bytes with their length before them. */
export function encodeString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([encodeUint32(bytes.length), bytes]);
}

/** A positive number given big endian, with or without leading zeros. */
export function encodeMpint(value: Uint8Array): Buffer {
  const start = value.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.alloc(0) : value.subarray(start);
  return encodeString((digits[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.alloc(1), digits]) : digits);
}
