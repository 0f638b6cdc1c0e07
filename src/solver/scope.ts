/**
 * A reason to stop that spreads from a piece of work to the work it started. Does what a tree of AbortControllers would, at a
 * fraction of the cost: a signal is made only for those who ask for one.
 */
export class Scope {
  readonly #callbacks = new Set<() => void>();
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** For code outside of the solver. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
    this.#controller?.abort(reason);
  }

  /** Calls back once when aborted. Returns how to take that back. */
  onAbort(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** @throws the reason of the abort */
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  /** A scope that is aborted with this one; disposing aborts it. */
  child(): Scope & Disposable {
    const scope = new Scope();
    const off = this.onAbort(() => scope.abort(this.#reason));
    if (this.#aborted) scope.abort(this.#reason);
    return Object.assign(scope, {
      [Symbol.dispose]: () => {
        off();
        scope.abort(UNNEEDED);
      },
    });
  }
}

/** Reason for stopping work that nobody waits for any more: one for all, as it never reaches a caller of the solver. */
export const UNNEEDED: Error = new Error('Not needed any more');
