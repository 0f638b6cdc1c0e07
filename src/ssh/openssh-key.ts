import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { curves } from './curves.ts';
import { EncryptedKeyError, MalformedError, UnusableKeyError } from './errors.ts';
import { WireReader } from './wire.ts';

const MAGIC = 'openssh-key-v1\0';

/** Without a cipher the private part is padded to this length. */
const BLOCK = 8;

/** A private key with the public key that its file claims to belong to it. */
export interface OpensshKey {
  readonly key: KeyObject;
  /** In the encoding of RFC 4253, section 6.6. */
  readonly publicBlob: Buffer;
}

/**
 * Reads what is between the markers of a file that `ssh-keygen` wrote (PROTOCOL.key of OpenSSH).
 * @throws MalformedError, UnusableKeyError
 */
export function parseOpensshKey(bytes: Buffer): OpensshKey {
  const reader = new WireReader(bytes);
  if (reader.take(MAGIC.length).toString('latin1') !== MAGIC)
    throw new MalformedError('it does not begin as OpenSSH keys do');
  const cipher = reader.string().toString('latin1');
  const derivation = reader.string().toString('latin1');
  reader.string();
  if (cipher !== 'none' || derivation !== 'none') throw new EncryptedKeyError();
  if (reader.uint32() !== 1) throw new UnusableKeyError('it does not hold exactly one key');
  const publicBlob = reader.string();
  const secret = reader.string();
  reader.end();
  return { key: parsePrivatePart(secret), publicBlob };
}

/** The part that would be encrypted, had the key a passphrase. */
function parsePrivatePart(bytes: Buffer): KeyObject {
  if (bytes.length % BLOCK !== 0) throw new MalformedError('its private part has an odd length');
  const reader = new WireReader(bytes);
  if (reader.uint32() !== reader.uint32()) throw new MalformedError('the check numbers of its private part differ');
  const jwk = parseFields(reader);
  // The comment, which is nobody else's business.
  reader.string();
  const padding = reader.take(reader.left);
  if (padding.length >= BLOCK || padding.some((byte, index) => byte !== index + 1))
    throw new MalformedError('its padding is wrong');
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch {
    throw new MalformedError('its numbers do not make a key');
  }
}

function parseFields(reader: WireReader): JsonWebKey {
  const type = reader.string().toString('latin1');
  if (type === 'ssh-ed25519') {
    const x = reader.string();
    const seedAndPublic = reader.string();
    if (x.length !== 32 || seedAndPublic.length !== 64 || !seedAndPublic.subarray(32).equals(x))
      throw new MalformedError('its two halves do not belong together');
    return { kty: 'OKP', crv: 'Ed25519', x: base64(x), d: base64(seedAndPublic.subarray(0, 32)) };
  }
  if (type === 'ssh-rsa') return parseRsa(reader);
  const curve = curves.find(({ algorithm }) => algorithm === type);
  if (!curve) throw new UnusableKeyError(describeType(type));
  if (reader.string().toString('latin1') !== curve.name) throw new MalformedError('its curve is not that of its type');
  const point = reader.string();
  const scalar = reader.mpint();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4 || scalar.length > curve.bytes)
    throw new MalformedError('its numbers do not make a key');
  return {
    kty: 'EC',
    crv: curve.jwk,
    x: base64(point.subarray(1, 1 + curve.bytes)),
    y: base64(point.subarray(1 + curve.bytes)),
    d: base64(Buffer.concat([Buffer.alloc(curve.bytes - scalar.length), scalar])),
  };
}

function parseRsa(reader: WireReader): JsonWebKey {
  const n = reader.mpint();
  const e = reader.mpint();
  const d = reader.mpint();
  const qi = reader.mpint();
  const p = reader.mpint();
  const q = reader.mpint();
  // Larger ones than OpenSSH takes: the calculations below would take their time.
  if (n.length > 2048 || [e, d, qi, p, q].some((number) => number.length > n.length))
    throw new MalformedError('its numbers do not make a key');
  const [primeP, primeQ] = [toBigInt(p), toBigInt(q)];
  // OpenSSL gets along without them, only slowly: it would hide that the file is damaged.
  if (primeP * primeQ !== toBigInt(n) || primeP < 2n || primeQ < 2n || (toBigInt(qi) * primeQ) % primeP !== 1n)
    throw new MalformedError('its numbers do not make a key');
  // The format leaves these two out.
  const dp = toBuffer(toBigInt(d) % (primeP - 1n));
  const dq = toBuffer(toBigInt(d) % (primeQ - 1n));
  const numbers = { n, e, d, p, q, dp, dq, qi };
  return { kty: 'RSA', ...Object.fromEntries(Object.entries(numbers).map(([name, bytes]) => [name, base64(bytes)])) };
}

function toBigInt(number: Buffer): bigint {
  return BigInt(`0x${number.toString('hex')}`);
}

function toBuffer(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function describeType(type: string): string {
  if (type.startsWith('sk-')) return 'it belongs to a security key';
  return `it is ${type === 'ssh-dss' ? 'a DSA key' : 'of a type that is not known'}; supported are ed25519, ecdsa and rsa`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64url');
}
