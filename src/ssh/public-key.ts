import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { curves } from './curves.ts';
import { MalformedError, UnusableKeyError } from './errors.ts';
import { WireReader } from './wire.ts';

/** Bits of RSA keys that Go's libraries verify with, as BuildKit does. */
const RSA_BITS = { least: 1024, most: 8192 };
/** Of public exponents: larger ones only cost time. */
const MAX_EXPONENT_BYTES = 3;
const USER_PRESENT = 1;

/** A public key that can verify what its private key has signed. */
export interface SshPublicKey {
  readonly type: string;
  /** In the encoding of RFC 4253, section 6.6. */
  readonly blob: Buffer;
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  /**
   * Whether a signature, with its algorithm before it, is one of these bytes.
   * @throws MalformedError, UnusableKeyError for an algorithm that is not the key's, or that is broken (SHA-1)
   */
  readonly verify: (data: Buffer, signature: Buffer) => boolean;
}

/**
 * Reads a public key in the encoding of RFC 4253: ed25519, ecdsa and rsa, and those of security keys.
 * @throws MalformedError, UnusableKeyError
 */
export function readPublicKey(blob: Buffer): SshPublicKey {
  const reader = new WireReader(blob);
  const type = reader.string().toString('latin1');
  const kind = readKind(type, reader);
  reader.end();
  return {
    type,
    blob,
    fingerprint: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`,
    verify(data, signature) {
      const fields = new WireReader(signature);
      const algorithm = fields.string().toString('latin1');
      const value = fields.string();
      const signed = kind.application === undefined ? data : securityKeyData(kind.application, data, fields);
      fields.end();
      return kind.verify(algorithm, signed, value);
    },
  };
}

interface Kind {
  /** Set for keys of a security key: what it signs is more than the data. */
  readonly application?: Buffer;
  readonly verify: (algorithm: string, data: Buffer, signature: Buffer) => boolean;
}

function readKind(type: string, reader: WireReader): Kind {
  switch (type) {
    case 'ssh-ed25519':
      return ed25519(type, reader);
    case 'ssh-rsa':
      return rsa(reader);
    case 'sk-ssh-ed25519@openssh.com': {
      const kind = ed25519(type, reader);
      return { ...kind, application: reader.string() };
    }
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const kind = ecdsa(type, 'ecdsa-sha2-nistp256', reader);
      return { ...kind, application: reader.string() };
    }
    default:
      return ecdsa(type, type, reader);
  }
}

function ed25519(type: string, reader: WireReader): Kind {
  const x = reader.string();
  if (x.length !== 32) throw new MalformedError('its numbers do not make a key');
  const key = keyOf({ kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') });
  return { verify: (algorithm, data, signature) => isOf(algorithm, [type]) && verify(null, data, key, signature) };
}

function rsa(reader: WireReader): Kind {
  const [e, n] = [reader.mpint(), reader.mpint()];
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < RSA_BITS.least || bits > RSA_BITS.most)
    throw new UnusableKeyError(`it is an RSA key of ${bits} bits; it must have ${RSA_BITS.least} to ${RSA_BITS.most}`);
  if (e.length > MAX_EXPONENT_BYTES || (e.length === 1 && (e[0] ?? 0) < 3) || ((e.at(-1) ?? 0) & 1) === 0)
    throw new UnusableKeyError('it is an RSA key with an odd exponent');
  const key = keyOf({ kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') });
  return {
    verify(algorithm, data, signature) {
      isOf(algorithm, ['rsa-sha2-512', 'rsa-sha2-256']);
      if (signature.length > n.length) return false;
      // Some programs leave out leading zeros.
      const padded = Buffer.concat([Buffer.alloc(n.length - signature.length), signature]);
      return verify(algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256', data, key, padded);
    },
  };
}

/** @param named the type that says which curve it is */
function ecdsa(type: string, named: string, reader: WireReader): Kind {
  const curve = curves.find(({ algorithm }) => algorithm === named);
  if (!curve) throw new UnusableKeyError(describeType(type));
  if (reader.string().toString('latin1') !== curve.name) throw new MalformedError('its curve is not that of its type');
  const point = reader.string();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4) throw new MalformedError('its numbers do not make a key');
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  const key = keyOf({ kty: 'EC', crv: curve.jwk, x: x.toString('base64url'), y: y.toString('base64url') });
  return {
    verify(algorithm, data, signature) {
      isOf(algorithm, [type]);
      const numbers = new WireReader(signature);
      const pair = [numbers.mpint(), numbers.mpint()];
      numbers.end();
      if (pair.some(({ length }) => length > curve.bytes)) return false;
      const joined = Buffer.concat(pair.flatMap((number) => [Buffer.alloc(curve.bytes - number.length), number]));
      return verify(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' }, joined);
    },
  };
}

/** What a security key signs (PROTOCOL.u2f of OpenSSH). Somebody must have touched it. */
function securityKeyData(application: Buffer, data: Buffer, fields: WireReader): Buffer {
  const [flags, counter] = [fields.take(1), fields.take(4)];
  if (((flags[0] ?? 0) & USER_PRESENT) === 0)
    throw new UnusableKeyError('nobody touched the security key when it was made');
  const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
  return Buffer.concat([digest(application), flags, counter, digest(data)]);
}

/** @throws UnusableKeyError for an algorithm that is none of these */
function isOf(algorithm: string, expected: readonly string[]): true {
  if (expected.includes(algorithm)) return true;
  const shown = JSON.stringify(algorithm.slice(0, 60));
  throw new UnusableKeyError(`its algorithm is ${shown}, and that of the key is ${expected.join(' or ')}`);
}

function keyOf(jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw new MalformedError('its numbers do not make a key');
  }
}

function describeType(type: string): string {
  if (type === 'ssh-dss') return 'it is a DSA key; supported are ed25519, ecdsa and rsa';
  if (type.includes('-cert-')) return 'it is a certificate: name the key itself';
  return `it is of type ${JSON.stringify(type.slice(0, 60))}; supported are ed25519, ecdsa and rsa`;
}
