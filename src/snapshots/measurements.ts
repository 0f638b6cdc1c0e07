import type { Store } from '../store/index.ts';
import type { WorkerClient } from '../worker/index.ts';

/**
 * ms that a directory may wait for others. Each call goes through three processes, and its answer into the index: with this, steps of a few
 * ms share one, and what a build that is killed right then had made meanwhile is made again in as short a time.
 */
const BATCH = 150;

/**
 * Measures directories that this process made, shortly after they are complete, beside whatever comes next: what happens to one
 * later is noticed, also when the command is killed or fails.
 */
export class Measurements {
  readonly #store: Store;
  readonly #worker: () => Promise<WorkerClient>;
  readonly #waiting = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(store: Store, worker: () => Promise<WorkerClient>) {
    this.#store = store;
    this.#worker = worker;
  }

  /** A directory is complete. */
  add(id: string): void {
    this.#waiting.add(id);
    this.#timer ??= setTimeout(() => {
      // Who waits for the end tries again, and is told what fails then.
      this.#start().catch(() => undefined);
    }, BATCH).unref();
  }

  /** Resolves when all are measured. @throws what the worker says when it cannot */
  async finish(): Promise<void> {
    // One that is running may fail for a reason that is gone.
    await this.#running?.catch(() => undefined);
    while (this.#waiting.size > 0) await this.#start();
  }

  #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return (this.#running ??= this.#measure().finally(() => {
      this.#running = undefined;
    }));
  }

  async #measure(): Promise<void> {
    const worker = await this.#worker();
    const ids = [...this.#waiting];
    const usages = await worker.call('usage', { paths: ids.map((id) => this.#store.layers.paths(id).fs) });
    for (const id of ids) this.#waiting.delete(id);
    this.#store.layers.setStamps(usages.map((usage, index) => [ids[index] ?? '', usage]));
  }
}
