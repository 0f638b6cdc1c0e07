import { DamageError, sameStamp, type Store } from '../store/index.ts';
import type { Task } from '../events/index.ts';
import type { WorkerClient } from '../worker/index.ts';

/**
 * Looks, once for each directory of an earlier command, whether it still is what it was when it was made: a build must not go on from
 * files that something else changed. Only `lstat` is needed, some 20 ms for 10,000 files, and it is done in the helper.
 */
export class DirectoryCheck {
  readonly #store: Store;
  readonly #worker: () => Promise<WorkerClient>;
  readonly #looking = new Map<string, Promise<boolean>>();

  constructor(store: Store, worker: () => Promise<WorkerClient>) {
    this.#store = store;
    this.#worker = worker;
  }

  /** Notes that a directory was made by this process, which needs no check. */
  trust(id: string): void {
    this.#looking.set(id, Promise.resolve(true));
  }

  /**
   * Looks at those that were not looked at yet. One that was changed is put aside: the layer has no directory any more.
   * @returns the layers whose directories were changed
   */
  async changed(task: Task, ids: readonly string[]): Promise<readonly string[]> {
    const news = ids.filter((id) => !this.#looking.has(id));
    if (news.length > 0) {
      const looked = this.#look(task, news);
      for (const [index, id] of news.entries()) {
        const sound = looked.then((all) => all[index] === true);
        // Whoever asks is told; whoever asks after a failure looks again.
        sound.catch(() => this.#looking.delete(id));
        this.#looking.set(id, sound);
      }
    }
    const sound = await Promise.all(ids.map((id) => this.#looking.get(id)));
    const changed = ids.filter((_, index) => sound[index] === false);
    for (const id of changed) this.#looking.delete(id);
    return changed;
  }

  async #look(task: Task, ids: readonly string[]): Promise<readonly boolean[]> {
    const recorded = ids.map((id) => this.#store.layers.get(id)?.stamp);
    if (recorded.every((stamp) => stamp === undefined)) return ids.map(() => true);
    const worker = await this.#worker();
    const paths = ids.map((id) => this.#store.layers.paths(id).fs);
    const usages = await worker.call('usage', { paths }, { signal: task.signal });
    return Promise.all(
      ids.map(async (id, index) => {
        const [stamp, now] = [recorded[index], usages[index]?.stamp];
        if (stamp === undefined || now === undefined || stamp === now) return true;
        if (sameStamp(stamp, now)) {
          this.#store.layers.setStamp(id, now);
          return true;
        }
        await this.#putAside(task, id, stamp);
        return false;
      }),
    );
  }

  /** Unless another process did so and has made it again meanwhile. */
  async #putAside(task: Task, id: string, stamp: string): Promise<void> {
    await using _lock = await this.#store.lock(`layer-${id}`, { signal: task.signal });
    if (this.#store.layers.get(id)?.stamp === stamp) this.#store.layers.dropFs(id);
  }
}

/** What a build is told that cannot make the directory again by itself. */
export function changedDirectory(id: string, description: string): DamageError {
  return new DamageError(
    'TSB_STORE',
    `Cannot use layer "${id}" (${description}): its directory in the store was changed after it was made`,
    { hint: 'run the command again: the layer is built again' },
  );
}
