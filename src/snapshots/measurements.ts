import type { Store } from '../store/index.ts';
import type { WorkerClient } from '../worker/index.ts';

/**
 * Measures directories that this process made, from the moment they are complete, beside whatever comes next: what happens to one
 * later is noticed, also when the command is killed or fails. Those that become complete while others are being measured are measured
 * together, since each call starts a helper.
 */
export class Measurements {
  readonly #store: Store;
  readonly #worker: () => Promise<WorkerClient>;
  readonly #waiting = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(store: Store, worker: () => Promise<WorkerClient>) {
    this.#store = store;
    this.#worker = worker;
  }

  /** A directory is complete. */
  add(id: string): void {
    this.#waiting.add(id);
    // Who waits for the end tries again, and is told what fails then.
    this.#start().catch(() => undefined);
  }

  /** Resolves when all are measured. @throws what the worker says when it cannot */
  async finish(): Promise<void> {
    // One that is running may fail for a reason that is gone.
    await this.#running?.catch(() => undefined);
    if (this.#waiting.size > 0) await this.#start();
  }

  #start(): Promise<void> {
    return (this.#running ??= this.#measure().finally(() => {
      this.#running = undefined;
    }));
  }

  async #measure(): Promise<void> {
    const worker = await this.#worker();
    while (this.#waiting.size > 0) {
      const ids = [...this.#waiting];
      const usages = await worker.call('usage', { paths: ids.map((id) => this.#store.layers.paths(id).fs) });
      for (const id of ids) this.#waiting.delete(id);
      this.#store.layers.setStamps(usages.map((usage, index) => [ids[index] ?? '', usage]));
    }
  }
}
