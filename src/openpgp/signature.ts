import { MalformedError, UnsupportedError } from './errors.ts';
import { ALGORITHM } from './public-key.ts';
import { Reader } from './reader.ts';
import { readSubpackets, type SignatureFacts } from './subpackets.ts';

/** What signatures are over (RFC 9580, section 5.2.1). */
export const SIGNATURE = {
  binary: 0x00,
  text: 0x01,
  certifications: [0x10, 0x11, 0x12, 0x13] as readonly number[],
  subkeyBinding: 0x18,
  primaryKeyBinding: 0x19,
  directKey: 0x1f,
  keyRevocation: 0x20,
  subkeyRevocation: 0x28,
  certificationRevocation: 0x30,
};

/** A signature packet. */
export interface Signature {
  readonly version: 4 | 6;
  readonly type: number;
  readonly algorithm: number;
  /** As node:crypto calls it. SHA-1 is one: whoever takes a signature says whether it will do. */
  readonly hash: string;
  readonly facts: SignatureFacts & { readonly created: number };
  /** Hashed before what it is over; empty but in version 6. */
  readonly salt: Buffer;
  /** Hashed after what it is over. */
  readonly suffix: Buffer;
  /** The first two bytes of the hash. */
  readonly tag: Buffer;
  readonly values: readonly Buffer[];
}

/** By their numbers (RFC 9580, section 9.5); MD5 and RIPEMD-160 are not among them. */
const HASHES: ReadonlyMap<number, { readonly name: string; readonly salt: number }> = new Map([
  [2, { name: 'sha1', salt: 0 }],
  [8, { name: 'sha256', salt: 16 }],
  [9, { name: 'sha384', salt: 24 }],
  [10, { name: 'sha512', salt: 32 }],
  [11, { name: 'sha224', salt: 16 }],
]);

/** Reads the body of a signature packet. @throws MalformedError, UnsupportedError */
export function readSignature(body: Buffer): Signature {
  const reader = new Reader(body);
  const version = reader.byte();
  if (version !== 4 && version !== 6)
    throw new UnsupportedError(`it is a signature of version ${version}; 4 and 6 are known`);
  const [type, algorithm, hashNumber] = [reader.byte(), reader.byte(), reader.byte()];
  const hash = HASHES.get(hashNumber);
  if (!hash || (version === 6 && hash.salt === 0))
    throw new UnsupportedError(
      `its hash is ${hashNumber === 1 ? 'MD5' : `number ${hashNumber}`}, which is not used any more or not known`,
    );
  const length = (): number => (version === 4 ? reader.uint16() : reader.uint32());
  const hashed = reader.take(length());
  const facts: SignatureFacts = {};
  readSubpackets(hashed, true, facts);
  readSubpackets(reader.take(length()), false, facts);
  const { created } = facts;
  if (created === undefined) throw new MalformedError('it does not say when it was made');
  const tag = reader.take(2);
  const salt = version === 6 ? reader.take(reader.byte()) : Buffer.alloc(0);
  if (version === 6 && salt.length !== hash.salt) throw new MalformedError('its salt has another length');
  const values = readValues(algorithm, reader);
  reader.end();
  return {
    version, type, algorithm, hash: hash.name, facts: { ...facts, created }, salt, tag, values,
    suffix: suffixOf(version, body.subarray(0, version === 4 ? 6 + hashed.length : 8 + hashed.length)),
  }; // oxfmt-ignore
}

function readValues(algorithm: number, reader: Reader): readonly Buffer[] {
  switch (algorithm) {
    case ALGORITHM.rsa:
    case ALGORITHM.rsaSign:
      return [reader.mpi()];
    case ALGORITHM.ecdsa:
    case ALGORITHM.eddsa:
      return [reader.mpi(), reader.mpi()];
    case ALGORITHM.ed25519:
      return [reader.take(64)];
    default: {
      const name = algorithm === ALGORITHM.dsa ? 'DSA' : `number ${algorithm}`;
      throw new UnsupportedError(`its algorithm is ${name}; RSA, ECDSA and EdDSA are known`);
    }
  }
}

/** The signature's own fields, and how long they are (RFC 9580, section 5.2.4). */
function suffixOf(version: 4 | 6, fields: Buffer): Buffer {
  const end = Buffer.alloc(6);
  end.writeUInt8(version);
  end.writeUInt8(0xff, 1);
  end.writeUInt32BE(fields.length, 2);
  return Buffer.concat([fields, end]);
}
