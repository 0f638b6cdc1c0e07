import {
  type ObjectStore,
  type ObjectStoreRequest,
  type OpenObjectStore,
  openObjectStore,
} from '../object-store/index.ts';
import type { Refusals } from '../pins/index.ts';
import type { UserRegistryOptions } from '../registry/index.ts';

/** The stores of objects that a command uses, each opened once: what one part of a build put there, another finds without asking. */
export class ObjectStores implements AsyncDisposable {
  readonly #options: UserRegistryOptions;
  readonly #offline: Refusals | undefined;
  readonly #open = new Map<string, OpenObjectStore>();

  /** @param offline set: nothing may be asked of other machines */
  constructor(options: UserRegistryOptions, offline: Refusals | undefined) {
    this.#options = options;
    this.#offline = offline;
  }

  /** @throws TsbuildError `TSB_USAGE` for what cannot be a bucket or an address */
  get(request: ObjectStoreRequest): ObjectStore {
    const key = JSON.stringify(request);
    let store = this.#open.get(key);
    if (store === undefined) {
      store = openObjectStore(request, this.#options.now, async () => {
        if (this.#offline !== undefined) throw this.#offline.refuse('a cache in a bucket');
        const { userRegistryOptions } = await import('../registry/index.ts');
        // Proxies, certificates and patience are the same for all that is asked of other machines.
        const { config: _, ...surroundings } = await userRegistryOptions(this.#options);
        return surroundings;
      });
      this.#open.set(key, store);
    }
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map(async (store) => store[Symbol.asyncDispose]()));
  }
}
