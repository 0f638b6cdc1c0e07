import type { Task } from '../events/index.ts';
import type { Store } from '../store/index.ts';
import type { WorkerClient } from '../worker/index.ts';

/**
 * Layers that stand elsewhere than where they were made: what `Diff` took from one tree and `Merge` has put on another. One may take away
 * names in directories that the new place lacks. Overlayfs hands on a directory that only one layer has as it is, and then lists whiteouts
 * as names that nobody can open; so such a layer gets a mask beside it, which the worker puts at the bottom wherever it mounts the layer.
 */
export class MovedLayers {
  readonly #store: Store;
  readonly #worker: () => Promise<WorkerClient>;
  readonly #parents = new Map<string, readonly string[]>();
  readonly #masked = new Set<string>();

  constructor(store: Store, worker: () => Promise<WorkerClient>) {
    this.#store = store;
    this.#worker = worker;
  }

  /** What a layer was just made on: there is no need to ask the index. */
  know(id: string, parents: readonly string[]): void {
    this.#parents.set(id, parents);
  }

  /** Makes the masks of a stack whose directories are complete. Once for each layer. */
  async mask(task: Task, ids: readonly string[]): Promise<void> {
    const moved = this.#in(ids).filter((id) => !this.#masked.has(id));
    if (moved.length === 0) return;
    const dirs = moved.map((id) => this.#store.layers.paths(id).dir);
    await (await this.#worker()).call('maskLayers', { dirs }, { signal: task.signal });
    for (const id of moved) this.#masked.add(id);
  }

  /** The layers of a stack that were made on layers which are not beneath them there. */
  #in(ids: readonly string[]): readonly string[] {
    let seen: Set<string> | undefined;
    const moved: string[] = [];
    for (const [at, id] of ids.entries()) {
      const parents = this.#parentsOf(id);
      // Most stacks are how they grew, and then it is enough to look at the layer below.
      const isGrown = moved.length === 0 && parents.length === at && parents.at(-1) === ids[at - 1];
      if (isGrown && seen === undefined) continue;
      seen ??= new Set(ids.slice(0, at));
      if (parents.some((parent) => seen?.has(parent) !== true)) moved.push(id);
      seen.add(id);
    }
    return moved;
  }

  #parentsOf(id: string): readonly string[] {
    const known = this.#parents.get(id);
    if (known !== undefined) return known;
    const parents = this.#store.layers.get(id)?.parents ?? [];
    this.#parents.set(id, parents);
    return parents;
  }
}
