/**
 * SHA-256 and random bytes without node:crypto, which takes some 6 ms to load: longer than all that a build from the cache hashes.
 * Each function gives 0, or an errno.
 */
export interface LightCrypto {
  /** Fills at most 256 bytes. */
  random(bytes: Uint8Array): number;
  /** @param state of a hash under way, `HASH_STATE` bytes that belong to it alone */
  hashInit(state: Uint8Array): number;
  hashUpdate(state: Uint8Array, bytes: Uint8Array): number;
  /** @param digest 32 bytes */
  hashFinal(state: Uint8Array, digest: Uint8Array): number;
}

const HASH_STATE = 256;

let light: LightCrypto | undefined;

/**
 * Lets these be used until node:crypto is there, if they do what they should.
 * @returns whether they do
 */
export function useLightCrypto(calls: LightCrypto): boolean {
  const known = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  // FIPS 180-2, B.1
  if (typeof calls.hashInit !== 'function' || new LightHash(calls).update('abc').digest() !== known) return false;
  light = calls;
  return true;
}

/** What was given to `useLightCrypto` last. */
export function lightCrypto(): LightCrypto | undefined {
  return light;
}

/** SHA-256 piece by piece, as `Hash` of node:crypto. */
export class LightHash {
  readonly #calls: LightCrypto;
  readonly #state = new Uint8Array(HASH_STATE);
  #isFinal = false;

  constructor(calls: LightCrypto) {
    this.#calls = calls;
    done(calls.hashInit(this.#state));
  }

  update(data: Uint8Array | string): this {
    this.#goOn();
    done(this.#calls.hashUpdate(this.#state, typeof data === 'string' ? Buffer.from(data) : data));
    return this;
  }

  /** In hex. To be called once, after which nothing can be added. */
  digest(): string {
    this.#goOn();
    this.#isFinal = true;
    const digest = Buffer.alloc(32);
    done(this.#calls.hashFinal(this.#state, digest));
    return digest.toString('hex');
  }

  #goOn(): void {
    if (this.#isFinal) throw new Error('The digest was asked for already');
  }
}

/** Random bytes as hex digits; undefined for more than there are at a time. */
export function lightRandomHex(calls: LightCrypto, bytes: number): string | undefined {
  if (bytes > 256) return undefined;
  const buffer = Buffer.alloc(bytes);
  return calls.random(buffer) === 0 ? buffer.toString('hex') : undefined;
}

function done(errno: number): void {
  if (errno !== 0) throw new Error(`SHA-256 fails (${errno})`);
}
