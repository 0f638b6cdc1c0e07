interface Running<T> {
  readonly promise: Promise<T>;
  readonly signal: AbortSignal;
}

/**
 * Work that several tasks may want at a time and that is done once: who comes later waits for who came first. It runs under the signal
 * of the first; when that one is canceled while others still want it, one of them does it for itself.
 */
export class SharedWork<K, T> {
  readonly #running = new Map<K, Running<T>>();
  readonly #keep: boolean;

  /** @param keep whether what came of it is remembered. Failures never are. */
  constructor({ keep = false }: { readonly keep?: boolean } = {}) {
    this.#keep = keep;
  }

  /** The outcome of the work that goes by `key`, which `start` begins unless it is under way. */
  async run(key: K, signal: AbortSignal, start: () => Promise<T>): Promise<T> {
    for (let known = this.#running.get(key); known !== undefined; known = this.#running.get(key)) {
      try {
        return await known.promise;
      } catch (error) {
        // A failure is everybody's, but that the other was canceled is not ours.
        if (signal.aborted || !known.signal.aborted) throw error;
      }
    }
    // Forgotten before anybody hears of it, so that whoever starts anew does not find it.
    const promise = start().then(
      (value) => {
        if (!this.#keep) this.#running.delete(key);
        return value;
      },
      (error: unknown) => {
        this.#running.delete(key);
        throw error;
      },
    );
    this.#running.set(key, { promise, signal });
    return promise;
  }
}
