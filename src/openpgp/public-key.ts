import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { MalformedError, UnsupportedError } from './errors.ts';
import { padded, Reader } from './reader.ts';

/** Algorithms of RFC 9580, section 9.1. */
export const ALGORITHM = { rsa: 1, rsaSign: 3, dsa: 17, ecdsa: 19, eddsa: 22, ed25519: 27 } as const;

const RSA_BITS = { least: 2048, most: 16384 };

/** A public key that signs. */
export interface PublicKey {
  readonly version: 4 | 6;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly algorithm: number;
  /** In capital hexadecimal digits. */
  readonly fingerprint: string;
  /** 16 capital hexadecimal digits. */
  readonly id: string;
  /** What signatures on the key are over. */
  readonly hashed: Buffer;
  /** @throws UnsupportedError for one that nothing is verified with */
  readonly key: () => VerifyingKey;
}

/** What signatures are verified with. */
export interface VerifyingKey {
  readonly kind: 'rsa' | 'ecdsa' | 'eddsa';
  readonly object: KeyObject;
  /** Bytes of a number of a signature. */
  readonly size: number;
}

/** Reads the body of a key packet. @throws MalformedError, UnsupportedError */
export function readPublicKey(body: Buffer): PublicKey {
  const reader = new Reader(body);
  const version = reader.byte();
  if (version !== 4 && version !== 6)
    throw new UnsupportedError(`it is a key of version ${version}; 4 and 6 are known`);
  const created = reader.uint32();
  const algorithm = reader.byte();
  if (version === 6 && reader.uint32() !== reader.left)
    throw new MalformedError('a key has another length than it says');
  const material = reader.rest();
  const fingerprint = createHash(version === 4 ? 'sha1' : 'sha256')
    .update(keyPrefix(version, body))
    .digest('hex')
    .toUpperCase();
  let made: VerifyingKey | undefined;
  return {
    version,
    created,
    algorithm,
    fingerprint,
    id: version === 4 ? fingerprint.slice(-16) : fingerprint.slice(0, 16),
    hashed: keyPrefix(version, body),
    key: () => (made ??= verifyingKey(algorithm, new Reader(material))),
  };
}

/** A key as signatures on it have it (RFC 9580, section 5.2.4). */
function keyPrefix(version: 4 | 6, body: Buffer): Buffer {
  const head = Buffer.alloc(version === 4 ? 3 : 5);
  if (version === 4) {
    if (body.length > 0xffff) throw new MalformedError('a key is too long');
    head.writeUInt8(0x99);
    head.writeUInt16BE(body.length, 1);
  } else {
    head.writeUInt8(0x9b);
    head.writeUInt32BE(body.length, 1);
  }
  return Buffer.concat([head, body]);
}

function verifyingKey(algorithm: number, material: Reader): VerifyingKey {
  switch (algorithm) {
    case ALGORITHM.rsa:
    case ALGORITHM.rsaSign:
      return rsaKey(material);
    case ALGORITHM.ecdsa:
      return ecdsaKey(material);
    case ALGORITHM.eddsa: {
      if (material.take(material.byte()).toString('hex') !== '2b06010401da470f01')
        throw new UnsupportedError('it is an EdDSA key on a curve that is not known; Ed25519 is');
      const point = material.mpi();
      if (point.length !== 33 || point[0] !== 0x40) throw new MalformedError('its numbers do not make a key');
      material.end();
      return ed25519Key(point.subarray(1));
    }
    case ALGORITHM.ed25519: {
      const point = material.take(32);
      material.end();
      return ed25519Key(point);
    }
    default:
      throw new UnsupportedError(`it is ${nameOf(algorithm)}; RSA, ECDSA and EdDSA are known`);
  }
}

function nameOf(algorithm: number): string {
  return algorithm === ALGORITHM.dsa ? 'a DSA key' : `a key of algorithm ${algorithm}`;
}

function rsaKey(material: Reader): VerifyingKey {
  const [n, e] = [material.mpi(), material.mpi()];
  material.end();
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < RSA_BITS.least || bits > RSA_BITS.most)
    throw new UnsupportedError(`it is an RSA key of ${bits} bits; it must have ${RSA_BITS.least} to ${RSA_BITS.most}`);
  // Larger exponents only cost time, and 1 would make everything a signature.
  if (e.length > 4 || (e.length === 1 && (e[0] ?? 0) < 3) || ((e.at(-1) ?? 0) & 1) === 0)
    throw new UnsupportedError('it is an RSA key with an odd exponent');
  const object = keyOf({ kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') });
  return { kind: 'rsa', object, size: n.length };
}

/** By their object identifiers (RFC 9580, section 9.2). */
const CURVES: ReadonlyMap<string, { readonly crv: string; readonly size: number }> = new Map([
  ['2a8648ce3d030107', { crv: 'P-256', size: 32 }],
  ['2b81040022', { crv: 'P-384', size: 48 }],
  ['2b81040023', { crv: 'P-521', size: 66 }],
]);

function ecdsaKey(material: Reader): VerifyingKey {
  const curve = CURVES.get(material.take(material.byte()).toString('hex'));
  if (!curve) throw new UnsupportedError('it is an ECDSA key on a curve that is not known; P-256, P-384 and P-521 are');
  const { crv, size } = curve;
  const point = material.mpi();
  material.end();
  if (point.length !== 1 + 2 * size || point[0] !== 4) throw new MalformedError('its numbers do not make a key');
  const [x, y] = [point.subarray(1, 1 + size), point.subarray(1 + size)];
  return {
    kind: 'ecdsa',
    object: keyOf({ kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') }),
    size,
  };
}

function ed25519Key(point: Buffer): VerifyingKey {
  const x = padded(point, 32).toString('base64url');
  return { kind: 'eddsa', object: keyOf({ kty: 'OKP', crv: 'Ed25519', x }), size: 32 };
}

function keyOf(jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw new MalformedError('its numbers do not make a key');
  }
}
