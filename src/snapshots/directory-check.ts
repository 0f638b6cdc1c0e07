import { statSync } from 'node:fs';
import { DamageError, isOfDirectory, type Layer, sameStamp, type Store } from '../store/index.ts';
import { SharedWork } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { TreeUsage } from '../sandbox/index.ts';

/** Measures trees of the store. */
export type MeasureTrees = (paths: readonly string[], signal: AbortSignal) => Promise<readonly TreeUsage[]>;

/**
 * Looks, once for each directory of an earlier command, whether it still is what it was when it was made: a build must not go on from
 * files that something else changed. Only `lstat` is needed, some 20 ms for 10,000 files, and it is done in the helper.
 */
export class DirectoryCheck {
  readonly #store: Store;
  readonly #measure: MeasureTrees;
  readonly #onGone: (id: string) => void;
  readonly #sound = new Set<string>();
  readonly #looking = new SharedWork<string, boolean>();

  /** @param onGone told of a layer whose directory is not there any more, at once */
  constructor(store: Store, measure: MeasureTrees, onGone: (id: string) => void) {
    this.#store = store;
    this.#measure = measure;
    this.#onGone = onGone;
  }

  /** Notes that a directory was made by this process, which needs no check. */
  trust(id: string): void {
    this.#sound.add(id);
  }

  /**
   * Whether the directory is the one that was made, whatever is in it: by the inode that its stamp begins with. One that is being measured
   * has no stamp yet; a copied store has other inodes, until it is looked at as a whole.
   */
  isTheOne(id: string): boolean {
    if (this.#sound.has(id)) return true;
    const now = statSync(this.#store.layers.paths(id).fs, { bigint: true, throwIfNoEntry: false });
    if (now?.isDirectory() !== true) return false;
    const stamp = this.#store.layers.get(id)?.stamp;
    return stamp === undefined || stamp.startsWith(`${now.ino.toString(16)}.`);
  }

  /**
   * Looks at those that were not looked at yet. One that was changed is put aside: the layer has no directory any more.
   * @returns the layers whose directories were changed
   */
  async changed(task: Task, ids: readonly string[]): Promise<readonly string[]> {
    const unknown = ids.filter((id) => !this.#sound.has(id));
    let looked: Promise<readonly boolean[]> | undefined;
    const isSound = await Promise.all(
      unknown.map((id, index) =>
        // One call of the helper for all that nobody else is looking at.
        this.#looking.run(id, task.signal, async () => (await (looked ??= this.#look(task, unknown)))[index] === true),
      ),
    );
    for (const [index, id] of unknown.entries()) if (isSound[index]) this.#sound.add(id);
    return unknown.filter((_, index) => !isSound[index]);
  }

  async #look(task: Task, ids: readonly string[]): Promise<readonly boolean[]> {
    if (ids.length === 0) return [];
    const before = ids.map((id) => this.#store.layers.get(id));
    const paths = ids.map((id) => this.#store.layers.paths(id).fs);
    const usages = await this.#measure(paths, task.signal);
    return Promise.all(
      ids.map(async (id, index) => {
        const usage = usages[index];
        if (before[index]?.fs === true && usage !== undefined && isOfDirectory(usage.stamp)) {
          const { stamp } = before[index];
          if (stamp === usage.stamp) return true;
          // Without a stamp it was made a moment ago by a build that is still running.
          if (stamp === undefined || sameStamp(stamp, usage.stamp)) {
            this.#store.layers.setStamps([[id, usage]]);
            return true;
          }
        }
        await this.#putAside(task, id, before[index]);
        return false;
      }),
    );
  }

  /** Unless another task or process did so, and may have made it again meanwhile. */
  async #putAside(task: Task, id: string, before: Layer | undefined): Promise<void> {
    await using _lock = await this.#store.lock(`layer-${id}`, { signal: task.signal });
    const now = this.#store.layers.get(id);
    if (before?.fs === true && now?.fs === true && now.stamp === before.stamp) this.#store.layers.dropFs(id);
    this.#onGone(id);
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
