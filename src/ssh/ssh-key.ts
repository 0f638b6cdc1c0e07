import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { type Curve, curves } from './curves.ts';
import { MalformedError, UnusableKeyError } from './errors.ts';
import { encodeMpint, encodeString } from './wire.ts';

/** SSH_AGENT_RSA_SHA2_256 and SSH_AGENT_RSA_SHA2_512 of the agent protocol. */
const RSA_SHA2_256 = 2;
const RSA_SHA2_512 = 4;

/** Bits of RSA keys that OpenSSH takes. */
const RSA_BITS = { least: 1024, most: 16384 };

const signAsync = promisify(sign);

/** A private key that can make SSH signatures. */
export interface SshKey {
  /** The public key in the encoding of RFC 4253, section 6.6: what names the key in the agent protocol. */
  readonly blob: Buffer;
  /**
   * Signs in the algorithm that the key's type asks for; for RSA the flags of the request decide: without one it is SHA-1, as with
   * OpenSSH's agent.
   * @returns the signature with its algorithm before it
   */
  readonly sign: (data: Buffer, flags: number) => Promise<Buffer>;
}

/**
 * A private key as one for SSH.
 * @throws UnusableKeyError when SSH knows no such keys, MalformedError when its private and its public part do not belong together
 */
export function sshKey(key: KeyObject): SshKey {
  const kind = describeKey(key);
  const probe = Buffer.from('tsbuild');
  const { hash } = kind.scheme(RSA_SHA2_256);
  let fits = false;
  try {
    fits = verify(hash, probe, createPublicKey(key), sign(hash, probe, key));
  } catch {
    // Numbers that OpenSSL refuses to calculate with.
  }
  if (!fits) throw new MalformedError('its private and its public part do not belong together');
  return {
    blob: kind.blob,
    sign: async (data, flags) => {
      const { algorithm, hash, encode } = kind.scheme(flags);
      // The encoding says nothing to other keys than ECDSA ones.
      const signature = await signAsync(hash, data, { key, dsaEncoding: 'ieee-p1363' });
      return Buffer.concat([encodeString(algorithm), encodeString(encode(signature))]);
    },
  };
}

interface Scheme {
  readonly algorithm: string;
  /** Null where the algorithm has its own. */
  readonly hash: string | null;
  readonly encode: (signature: Buffer) => Buffer;
}

interface Kind {
  readonly blob: Buffer;
  readonly scheme: (flags: number) => Scheme;
}

function describeKey(key: KeyObject): Kind {
  switch (key.asymmetricKeyType) {
    case 'ed25519': {
      const algorithm = 'ssh-ed25519';
      const { x } = createPublicKey(key).export({ format: 'jwk' });
      return {
        blob: blobOf(algorithm, encodeString(number(x))),
        scheme: () => ({ algorithm, hash: null, encode: same }),
      };
    }
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      if (bits < RSA_BITS.least || bits > RSA_BITS.most)
        throw new UnusableKeyError(
          `it is an RSA key of ${bits} bits; it must have ${RSA_BITS.least} to ${RSA_BITS.most}`,
        );
      const { n, e } = createPublicKey(key).export({ format: 'jwk' });
      return { blob: blobOf('ssh-rsa', encodeMpint(number(e)), encodeMpint(number(n))), scheme: rsaScheme };
    }
    case 'ec': {
      const { crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
      const curve = curves.find(({ jwk }) => jwk === crv);
      if (!curve) throw new UnusableKeyError('its curve is none that SSH uses');
      const point = Buffer.concat([Buffer.of(4), number(x), number(y)]);
      const { algorithm, hash } = curve;
      return {
        blob: blobOf(algorithm, encodeString(curve.name), encodeString(point)),
        scheme: () => ({ algorithm, hash, encode: (signature) => encodePair(curve, signature) }),
      };
    }
    default:
      throw new UnusableKeyError('its type is not supported; ed25519, ecdsa and rsa are');
  }
}

function rsaScheme(flags: number): Scheme {
  if ((flags & RSA_SHA2_256) !== 0) return { algorithm: 'rsa-sha2-256', hash: 'sha256', encode: same };
  if ((flags & RSA_SHA2_512) !== 0) return { algorithm: 'rsa-sha2-512', hash: 'sha512', encode: same };
  return { algorithm: 'ssh-rsa', hash: 'sha1', encode: same };
}

/** The two numbers of an ECDSA signature (RFC 5656, section 3.1.2). */
function encodePair({ bytes }: Curve, signature: Buffer): Buffer {
  return Buffer.concat([encodeMpint(signature.subarray(0, bytes)), encodeMpint(signature.subarray(bytes))]);
}

function same(signature: Buffer): Buffer {
  return signature;
}

function blobOf(algorithm: string, ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat([encodeString(algorithm), ...fields]);
}

/** A number of a JSON Web Key, big endian. */
function number(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}
