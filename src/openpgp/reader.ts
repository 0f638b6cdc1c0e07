import { ByteReader } from '../util/index.ts';
import { MalformedError } from './errors.ts';

/** Reads what packets are made of. Every method throws MalformedError where there is less than it reads. */
export class Reader extends ByteReader {
  constructor(bytes: Buffer) {
    super(bytes, MalformedError);
  }

  uint16(): number {
    return this.take(2).readUInt16BE();
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
}

/** A number with zeros before it, so that it has as many bytes. @throws MalformedError for a larger one */
export function padded(number: Buffer, length: number): Buffer {
  if (number.length > length) throw new MalformedError('a number is too large');
  return Buffer.concat([Buffer.alloc(length - number.length), number]);
}
