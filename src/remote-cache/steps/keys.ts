import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errnoOf, fromErrno, hexOf, isTsbuildError, sha256, TsbuildError } from '../../util/index.ts';

/** Loaded at the first use, which takes 6 ms: few builds have keys. */
const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');

/** A private key that records are signed with; it also tells what it has signed. */
export interface SigningKey extends VerifyKey {
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

/** A public key that records are held against. */
export interface VerifyKey {
  readonly id: string;
  readonly verify: (bytes: Uint8Array, signature: Uint8Array) => boolean;
}

const HINT =
  'make a pair with "openssl genpkey -algorithm ed25519 -out cache.key" and "openssl pkey -in cache.key -pubout -out cache.pub"';

/**
 * Reads a private key (PEM, Ed25519).
 * @throws TsbuildError `TSB_USAGE`
 */
export function readSigningKey(path: string): SigningKey {
  const key = read(path, 'sign', crypto().createPrivateKey);
  const pub = crypto().createPublicKey(key);
  return {
    id: keyId(pub),
    sign: (bytes) => crypto().sign(null, bytes, key),
    verify: (bytes, signature) => crypto().verify(null, bytes, pub, signature),
  };
}

/**
 * Reads a public key (PEM, Ed25519). A private key is refused: whoever only verifies should not have it.
 * @throws TsbuildError `TSB_USAGE`
 */
export function readVerifyKey(path: string): VerifyKey {
  const key = read(path, 'verify', (pem) => {
    if (pem.includes('PRIVATE KEY'))
      throw new TsbuildError('TSB_USAGE', 'it is a private key, the public one is enough');
    return crypto().createPublicKey(pem);
  });
  return { id: keyId(key), verify: (bytes, signature) => crypto().verify(null, bytes, key, signature) };
}

function read(path: string, purpose: 'sign' | 'verify', parse: (pem: string) => KeyObject): KeyObject {
  const doing = `Cannot ${purpose} records of a cache with key ${JSON.stringify(path)}`;
  let why: string;
  try {
    const key = parse(readFileSync(path, 'utf8'));
    if (key.asymmetricKeyType === 'ed25519') return key;
    why = `it is a key of type ${key.asymmetricKeyType ?? 'unknown'}, expected ed25519`;
  } catch (error) {
    if (isErrno(error))
      throw new TsbuildError('TSB_USAGE', fromErrno(error, doing, 'TSB_USAGE').message, { hint: HINT });
    // What OpenSSL says of other files is about its own insides.
    const expected = `it is no ${purpose === 'sign' ? 'private' : 'public'} key in PEM form`;
    why = isTsbuildError(error) ? error.message : expected;
  }
  throw new TsbuildError('TSB_USAGE', `${doing}: ${why}`, { hint: HINT });
}

/** Of the file and not of what is in it: errors of Node and OpenSSL have codes, too. */
function isErrno(error: unknown): boolean {
  return /^E(?!RR_)[A-Z0-9]+$/.test(errnoOf(error) ?? '');
}

/** sha256 of the public key (SubjectPublicKeyInfo, DER), in hexadecimal digits. */
function keyId(key: KeyObject): string {
  return hexOf(sha256(key.export({ type: 'spki', format: 'der' })));
}
