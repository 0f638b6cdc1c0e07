import { ByteReader } from '../util/index.ts';
import { MalformedError } from './errors.ts';

/** Reads values in the encoding of RFC 4251, section 5. Every method throws MalformedError where the bytes do not hold what it reads. */
export class WireReader extends ByteReader {
  constructor(bytes: Buffer) {
    super(bytes, MalformedError);
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
