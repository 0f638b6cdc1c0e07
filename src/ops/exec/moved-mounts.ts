import { TsbuildError } from '../../util/index.ts';

/**
 * Where nothing can be mounted, a cache mount is moved to where it is wanted (native/src/places.c), and can be in one place at a time. These
 * are those that containers of frontends have.
 */
export class MovedMounts {
  readonly #taken = new Map<string, AbortController>();

  /** Aborted while a container has it: that ends when its frontend says so, and the frontend may be waiting for who waits here. */
  taken(id: string): AbortSignal {
    return this.#of(id).signal;
  }

  /** For a container, which has the mount's lock. Dispose it with that. */
  take(id: string): Disposable {
    this.#of(id).abort(
      new TsbuildError(
        'TSB_STEP',
        `Cannot use cache mount ${JSON.stringify(id)}: a container of the frontend has it, and without mounts it can be in one place at a time (rung 5)`,
        { hint: 'let the frontend release the container first; "tsbuild doctor" says what would lift the limit' },
      ),
    );
    return { [Symbol.dispose]: () => void this.#taken.delete(id) };
  }

  #of(id: string): AbortController {
    const known = this.#taken.get(id);
    if (known !== undefined) return known;
    const made = new AbortController();
    this.#taken.set(id, made);
    return made;
  }
}
