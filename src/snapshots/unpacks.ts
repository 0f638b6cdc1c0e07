import type { Task } from '../events/index.ts';
import { DamageError, type Layer, type LayerBlob, type Store } from '../store/index.ts';
import { isTsbuildError, TsbuildError } from '../util/index.ts';
import type { WorkerClient } from '../worker/index.ts';
import { Incoming, type LayerFetcher, type OnGrowing } from './incoming.ts';

/** What unpacking needs to know of layers, and tells. */
export interface UnpackOptions {
  readonly store: Store;
  readonly worker: () => Promise<WorkerClient>;
  /** @throws TsbuildError when the store does not have it any more */
  readonly layer: (id: string) => Layer;
  /** Brings the blob of a layer into the store, if it is not there and can be had. */
  readonly ensureBlob: (task: Task, id: string, onGrowing?: OnGrowing) => Promise<void>;
  readonly fetcherOf: (id: string) => LayerFetcher | undefined;
  readonly isWindows: (id: string) => boolean;
  /** The error for a layer of an imported cache, which is given up when it is damaged; undefined for other layers. */
  readonly giveUp: (id: string, error: unknown) => TsbuildError | undefined;
  /** Makes sure that directories from earlier commands are as these left them. */
  readonly checked: (task: Task, ids: readonly string[]) => Promise<void>;
  readonly onMade: (id: string) => void;
}

interface Unpacking {
  /** Of the task that came first, which it is done for. */
  readonly signal: AbortSignal;
  /** The worker has been asked for it, or it is there; rejects when neither will be. */
  readonly begun: Promise<void>;
  readonly done: Promise<void>;
}

/**
 * Makes directories of layers' blobs: each once at a time, in this process and among processes; layers side by side, and while
 * their blobs are still arriving. What was made of bytes that have not been verified joins the store only when they were.
 */
export class Unpacks {
  readonly #options: UnpackOptions;
  readonly #running = new Map<string, Unpacking>();
  /** The lease holds what was seen, so it is looked up once. */
  readonly #unpacked = new Set<string>();
  /** Where layers have their directories: in a stack of n layers each path is asked for up to n times. */
  readonly #paths = new Map<string, string>();

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  /** The directories of layers, bottom first; what is not unpacked is fetched and unpacked. */
  async directories(task: Task, ids: readonly string[]): Promise<readonly string[]> {
    const missing = ids.filter((id) => !this.#isUnpacked(id));
    await Promise.all(missing.map((id) => this.#wait(task, id, 'done')));
    return ids.map((id) => this.#path(id));
  }

  /** The directory was just made here: there is no need to ask the index. */
  know(id: string): void {
    this.#unpacked.add(id);
  }

  /** The directory turned out not to be there any more. */
  forget(id: string): void {
    this.#unpacked.delete(id);
  }

  #path(id: string): string {
    let path = this.#paths.get(id);
    if (path === undefined) this.#paths.set(id, (path = this.#options.store.layers.paths(id).fs));
    return path;
  }

  #isUnpacked(id: string): boolean {
    if (this.#unpacked.has(id)) return true;
    if (this.#options.store.layers.get(id)?.fs !== true) return false;
    this.#unpacked.add(id);
    return true;
  }

  /** Joins what is running; begins anew when that ends because the task that it was done for was canceled (see `SharedWork`). */
  async #wait(task: Task, id: string, what: 'begun' | 'done'): Promise<void> {
    for (;;) {
      const running = this.#start(task, id);
      try {
        return await running[what];
      } catch (error) {
        if (task.signal.aborted || !running.signal.aborted) throw error;
      }
    }
  }

  #start(task: Task, id: string): Unpacking {
    const running = this.#running.get(id);
    if (running) return running;
    const { promise: begun, resolve, reject } = Promise.withResolvers<void>();
    // Forgotten before anybody hears of it, so that whoever begins anew does not find it.
    const done = this.#unpack(task, id, resolve).finally(() => this.#running.delete(id));
    // Whoever waits for either hears of failures.
    begun.catch(() => undefined);
    done.then(resolve, reject);
    const started = { begun, done, signal: task.signal };
    this.#running.set(id, started);
    return started;
  }

  /** @param begin told when the worker has been asked: then it can be asked for layers above */
  async #unpack(task: Task, id: string, begin: () => void): Promise<void> {
    const { store, layer: find, ensureBlob, checked } = this.#options;
    const layer = find(id);
    // All transfers begin at once, whatever there is to wait for before the layer can be unpacked.
    const incoming = new Incoming((onGrowing) => ensureBlob(task, id, onGrowing));
    const { missing, present } = this.#beneath(layer.parents);
    await Promise.all(missing.map((parent) => this.#wait(task, parent, 'begun')));
    if (present.length > 0) await checked(task, present);
    // Whoever has the lock of a layer waits for layers below only, and has their locks: nobody waits in a circle.
    await using _lock = await store.lock(`layer-${id}`, { signal: task.signal });
    if (find(id).fs) return;
    if (await this.#unpackGrowing(task, layer, incoming, begin)) return;
    await incoming.done;
    const unpack = async (): Promise<void> => {
      // Of an imported cache's layer the store knows the blob only now.
      const blob = find(id).blobs.find(({ descriptor }) => store.blobs.has(descriptor.digest));
      if (!blob) throw new TsbuildError('TSB_STORE', `Cannot unpack layer "${id}": the store has no blob of it`);
      if (await this.#apply(task, layer, blob, begin)) return;
      // A layer below failed at first, and was needed. It says why, or was right at the second try.
      await this.directories(task, layer.parents);
      if (!(await this.#apply(task, layer, blob, begin)))
        throw new TsbuildError('TSB_INTERNAL', `Cannot unpack layer "${id}": a layer below it is missing`);
    };
    try {
      await unpack();
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_ARCHIVE') && !isTsbuildError(error, 'TSB_DIGEST')) throw error;
      await this.#fetchAgain(task, layer, error);
      await unpack();
    }
  }

  /**
   * What of a layer's parents has to be unpacked, and what was before. Where one that has to be stands on all that are beneath it here,
   * it waits for these itself: asking for each of them again would cost a deep image the square of its layers.
   */
  #beneath(parents: readonly string[]): { readonly missing: readonly string[]; readonly present: readonly string[] } {
    const missing: string[] = [];
    const present: string[] = [];
    for (let at = parents.length - 1; at >= 0; at--) {
      const parent = parents[at] ?? '';
      if (this.#isUnpacked(parent)) {
        present.push(parent);
        continue;
      }
      missing.push(parent);
      const below = this.#options.layer(parent).parents;
      if (below.length === at && below.every((id, index) => id === parents[index])) break;
    }
    return { missing: missing.reverse(), present: present.reverse() };
  }

  /** @returns false when the blob has to be unpacked once it is complete, which then also tells why this failed */
  async #unpackGrowing(task: Task, layer: Layer, incoming: Incoming, begin: () => void): Promise<boolean> {
    const growing = await incoming.growing;
    const blob = layer.blobs.find(({ descriptor }) => descriptor.digest === growing?.blob.digest);
    if (!growing || !blob) return false;
    const signal = AbortSignal.any([task.signal, growing.ended]);
    const finish = async (): Promise<void> => {
      await incoming.done;
    };
    try {
      return await this.#apply({ ...task, signal }, layer, blob, begin, { file: growing.file, finish });
    } catch (error) {
      task.signal.throwIfAborted();
      // What the transfer says comes first: what was read of it may be wrong for that reason.
      await incoming.done;
      if (isTsbuildError(error, 'TSB_NO_SPACE') || isTsbuildError(error, 'TSB_SANDBOX')) throw error;
      return false;
    }
  }

  /** @returns false when a layer below, being unpacked at the same time, failed and was needed */
  async #apply(
    task: Task,
    layer: Layer,
    { descriptor, compression }: LayerBlob,
    begin: () => void,
    growing?: { readonly file: string; readonly finish: () => Promise<void> },
  ): Promise<boolean> {
    const { store, worker, isWindows, onMade } = this.#options;
    const { id, diffId, parents } = layer;
    const client = await worker();
    const paths = store.layers.prepareDirectory(id);
    const call = client.call(
      'applyLayer',
      {
        blob: store.blobs.path(descriptor.digest),
        ...(growing ? { growing: growing.file } : {}),
        digest: descriptor.digest,
        size: descriptor.size,
        compression,
        ...(diffId === undefined ? {} : { diffId }),
        lowers: parents.map((parent) => this.#path(parent)),
        target: paths.fs,
        windows: isWindows(id),
      },
      { signal: task.signal },
    );
    begin();
    const applied = await call;
    if (!applied) return false;
    try {
      await growing?.finish();
    } catch (error) {
      await client.call('removeTrees', { paths: [paths.dir] });
      throw error;
    }
    store.layers.setFs(id, applied);
    onMade(id);
    return true;
  }

  /** Replaces a blob that could not be unpacked, where it is damaged and can be had once more. @throws where not */
  async #fetchAgain(task: Task, layer: Layer, error: TsbuildError): Promise<void> {
    const { store, fetcherOf, giveUp } = this.#options;
    const { id, description } = layer;
    const givenUp = giveUp(id, error);
    if (givenUp) throw givenUp;
    const digest = this.#options.layer(id).blobs.find(({ descriptor }) => store.blobs.has(descriptor.digest))
      ?.descriptor.digest;
    if (digest === undefined || store.blobs.verify(digest)) throw error;
    const damaged = new TsbuildError(
      'TSB_DIGEST',
      `Cannot unpack ${digest} of ${description}: the store's copy has another digest`,
      { hint: 'type "tsbuild store check --repair", then pull, import or build it again', cause: error },
    );
    const fetch = fetcherOf(id);
    // What came with an image that nobody can be asked for again is left to the user.
    if (!fetch && layer.type === 'source.image') throw damaged;
    store.blobs.remove(digest);
    if (!fetch) {
      const { code, message, cause } = damaged;
      throw new DamageError(code, message, { hint: 'run the command again: the layer is built again', cause });
    }
    try {
      await fetch(task);
    } catch (failure) {
      task.signal.throwIfAborted();
      throw new TsbuildError(damaged.code, damaged.message, { hint: damaged.hint ?? '', cause: failure });
    }
  }
}
