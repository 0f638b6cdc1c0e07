import { formatReference, parseReference, type Repository } from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { FactStore } from './image-types.ts';

const FACT_KIND = 'blob.repositories';
/** Repositories that are remembered of a blob, the latest first. */
const MAX_KNOWN = 4;

/**
 * Which repositories have a blob: those that it was seen in, or sent to. A registry that is to get the blob in another repository can take
 * it from there (distribution-spec, "Mounting a blob from another repository"). What is remembered may be wrong by now; then it is sent.
 */
export class BlobOrigins {
  readonly #facts: FactStore;

  constructor(facts: FactStore) {
    this.#facts = facts;
  }

  /** The repositories of a blob, the latest first. */
  of(digest: Digest): readonly Repository[] {
    return this.#names(digest).flatMap((name) => {
      try {
        const { host, path } = parseReference(name);
        return [{ host, path }];
      } catch {
        return [];
      }
    });
  }

  /** Notes that a repository has these blobs. Nothing is written when that is known. */
  note(digests: Iterable<Digest>, { host, path }: Repository): void {
    const name = formatReference({ host, path });
    for (const digest of digests) {
      const known = this.#names(digest);
      if (known[0] === name) continue;
      this.#facts.put(FACT_KIND, digest, [name, ...known.filter((other) => other !== name)].slice(0, MAX_KNOWN));
    }
  }

  #names(digest: Digest): readonly string[] {
    const value = this.#facts.get(FACT_KIND, digest)?.value;
    return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
  }
}
