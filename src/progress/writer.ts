import type { ProgressOutput } from './types.ts';

/**
 * Writes in order, knows when the reader lags behind, and goes silent for good when the reader is gone (EPIPE, a full disk): a
 * build does not fail for want of spectators.
 */
export class Writer {
  readonly #to: { readonly output: ProgressOutput };
  #listens = false;
  #pending = 0;
  #gone = false;
  #drained: PromiseWithResolvers<void> | undefined;

  /** @param to `output` is asked for when something is first written, as a build without display writes nothing */
  constructor(to: { readonly output: ProgressOutput }) {
    this.#to = to;
  }

  /** Something was written that has not been taken yet. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  /** Width and height of the terminal. A terminal that does not tell, or tells nonsense, counts as 80 by 10. */
  get size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#to.output;
    return columns !== undefined && rows !== undefined && columns > 0 && rows > 0
      ? { columns, rows }
      : { columns: 80, rows: 10 };
  }

  write(text: string): void {
    if (this.#gone || text === '') return;
    let settled = false;
    const settle = (error?: Error | null): void => {
      if (settled) return;
      settled = true;
      this.#pending--;
      if (error) this.#lose();
      else if (this.#pending === 0) this.#drained?.resolve();
    };
    this.#pending++;
    try {
      if (!this.#listens) this.#to.output.on?.('error', () => this.#lose());
      this.#listens = true;
      this.#to.output.write(text, settle);
    } catch {
      settle();
      this.#lose();
    }
  }

  /** Resolves when everything was taken, or will never be. */
  async flushed(): Promise<void> {
    if (this.#gone || this.#pending === 0) return;
    this.#drained ??= Promise.withResolvers();
    await this.#drained.promise;
  }

  #lose(): void {
    this.#gone = true;
    this.#drained?.resolve();
  }
}
