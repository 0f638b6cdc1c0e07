import type { Descriptor } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { type Digest, isDigest } from '../util/index.ts';

/** A layer with other times, or in the form of another system, as a blob. */
export interface Rewritten {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
}

const FACT = 'rewritten';

/** So many are remembered on a store: a layer has one for each epoch that it was exported with. */
const MAX_KNOWN = 2000;

/** What layers came to when they were exported with `rewrite-timestamp`. It is another layer then, so that the layer itself does not name it. */
export class RewrittenLayers {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @param key the layer, and all that decides about the form */
  get(key: string): Rewritten | undefined {
    const value = this.#store.facts.get(FACT, key)?.value as Partial<Rewritten> | undefined;
    const { diffId, descriptor } = value ?? {};
    if (
      !isDigest(diffId) ||
      !isDigest(descriptor?.digest) ||
      !this.#store.blobs.has(descriptor.digest, descriptor.size)
    )
      return undefined;
    return { diffId, descriptor };
  }

  put(key: string, { diffId, descriptor }: Rewritten): void {
    this.#store.facts.putNewest(FACT, key, { diffId, descriptor }, MAX_KNOWN);
  }
}
