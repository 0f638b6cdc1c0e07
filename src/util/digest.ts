import { TsbuildError } from './errors.ts';
import { lightCrypto, LightHash, lightRandomHex } from './light-crypto.ts';

let loaded: typeof import('node:crypto') | undefined;

/** Loaded at the first use: it takes some 8 ms, which a command that hashes nothing need not wait for. */
const crypto = (): typeof import('node:crypto') => (loaded ??= process.getBuiltinModule('node:crypto'));

/** What does without it, where that is there and it is not. */
const light = (): ReturnType<typeof lightCrypto> => (loaded ? undefined : lightCrypto());

/** Content identity: `sha256:` followed by 64 lower-case hex digits (OCI image-spec, descriptor.md "Digests"). */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether `text` obeys the digest grammar; check before any use of foreign digests as file names (CVE-2024-3727). */
export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && DIGEST.test(text);
}

/**
 * Parses a digest that came from outside.
 * @throws TsbuildError `TSB_DIGEST` when it is not a sha256 digest.
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new TsbuildError(
    'TSB_DIGEST',
    `Cannot use digest ${JSON.stringify(text.slice(0, 100))}: it is not "sha256:" and 64 lower-case hex digits`,
  );
}

/** The sha256 digest of bytes, or of a string's UTF-8 form, in one call. */
export function sha256(data: Uint8Array | string): Digest {
  const calls = light();
  return `sha256:${calls ? new LightHash(calls).update(data).digest() : crypto().hash('sha256', data, 'hex')}`;
}

/** The 64 hex digits of a digest, for use as a file name. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** Incremental sha256 over chunks. */
export class Hasher {
  readonly #hash: { update(data: Uint8Array | string): unknown; digest(encoding: 'hex'): string };
  /** Bytes hashed so far. */
  size = 0;

  constructor() {
    const calls = light();
    this.#hash = calls ? new LightHash(calls) : crypto().createHash('sha256');
  }

  update(chunk: Uint8Array | string): this {
    this.#hash.update(chunk);
    this.size += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
    return this;
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** Random bytes as hex digits, two for each byte: for names that nobody can guess and nobody else has. */
export function randomHex(bytes: number): string {
  const calls = light();
  return (calls && lightRandomHex(calls, bytes)) ?? crypto().randomBytes(bytes).toString('hex');
}

/**
 * Random hex digits that may stand as a host name, whole or their first twelve alone: there is a letter among these, as docker sees to as
 * well, for glibc takes a name of digits for an address and asks no name server.
 * @param draw gives so many random bytes as hex digits
 */
export function randomHostId(bytes: number, draw: (bytes: number) => string = randomHex): string {
  for (;;) {
    const id = draw(bytes);
    if (/[a-f]/.test(id.slice(0, 12))) return id;
  }
}
