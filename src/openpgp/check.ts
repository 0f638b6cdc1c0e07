import { createHash, createVerify, type Hash, type Verify, verify } from 'node:crypto';
import { MalformedError } from './errors.ts';
import type { PublicKey } from './public-key.ts';
import { padded } from './reader.ts';
import type { Signature } from './signature.ts';

/** A signature that is being verified with one key: gets what it is over, in pieces. */
export class SignatureCheck {
  readonly #signature: Signature;
  readonly #key: ReturnType<PublicKey['key']>;
  readonly #hash: Hash;
  /** RSA and ECDSA are verified with what hashes: Node takes no digest of them. */
  readonly #verify: Verify | undefined;

  /** @throws MalformedError, UnsupportedError for a key that nothing is verified with, or that is of another algorithm */
  constructor(signature: Signature, key: PublicKey) {
    if (key.algorithm !== signature.algorithm)
      throw new MalformedError('the key has another algorithm than the signature');
    if (key.version !== signature.version) throw new MalformedError('the key has another version than the signature');
    this.#signature = signature;
    this.#key = key.key();
    this.#hash = createHash(signature.hash);
    this.#verify = this.#key.kind === 'eddsa' ? undefined : createVerify(signature.hash);
    this.update(signature.salt);
  }

  update(data: Uint8Array): void {
    // A hash for its first bytes alone is only needed where they have to be right, and where the verifier takes it.
    if (this.#verify === undefined || this.#signature.version === 6) this.#hash.update(data);
    this.#verify?.update(data);
  }

  /** Whether the key has signed what was given. Once. */
  holds(): boolean {
    const { suffix, version, tag, values } = this.#signature;
    const { kind, object, size } = this.#key;
    this.update(suffix);
    const digest = this.#verify !== undefined && version === 4 ? undefined : this.#hash.digest();
    if (version === 6 && digest?.subarray(0, 2).equals(tag) !== true) return false;
    if (values.some((value) => value.length > (kind === 'eddsa' ? 64 : size))) return false;
    const [first = Buffer.alloc(0), second] = values;
    if (kind === 'rsa') return this.#verify?.verify(object, padded(first, size)) === true;
    const value = second === undefined ? first : Buffer.concat([padded(first, size), padded(second, size)]);
    if (value.length !== 2 * size) return false;
    if (kind === 'eddsa') return digest !== undefined && verify(null, digest, object, value);
    return this.#verify?.verify({ key: object, dsaEncoding: 'ieee-p1363' }, value) === true;
  }
}

/** Whether a key has signed these bytes. @throws MalformedError, UnsupportedError */
export function isSignatureOf(signature: Signature, key: PublicKey, ...data: readonly Uint8Array[]): boolean {
  const check = new SignatureCheck(signature, key);
  for (const part of data) check.update(part);
  return check.holds();
}
