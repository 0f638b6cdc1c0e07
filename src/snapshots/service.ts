import type { CachedLayer } from '../remote-cache/index.ts';
import { type Repository, type Compression, compressionOf, type Descriptor } from '../image/index.ts';
import { layerIdsOf, type ResolvedImage } from '../source/index.ts';
import { chainIds, DamageError, isDamageError, type Layer, type Lease, type Store } from '../store/index.ts';
import { type Digest, SharedWork, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { WorkerClient } from '../worker/index.ts';
import { type CacheOrigin, CachedLayers } from './imported.ts';
import type { LayerFetcher, OnGrowing } from './incoming.ts';
import { changedDirectory, DirectoryCheck, type MeasureTrees } from './directory-check.ts';
import { Measurements } from './measurements.ts';
import { MovedLayers } from './moved-layers.ts';
import { removeEmpty } from './remove-empty.ts';
import { RewrittenLayers } from './rewritten.ts';
import { anyBlob, compressionOfForm, layerType, findPacked, type PackedLayer, type PackForm } from './packed-layer.ts';
import { PullDisplay, type Shown } from './pull-display.ts';
import { Unpacks } from './unpacks.ts';

/** What becomes of a directory that is made: its layer in the store. */
export interface NewDirectory {
  readonly parents: readonly string[];
  readonly description: string;
  readonly type?: 'regular' | 'source.local' | 'source.http' | 'source.git.checkout' | 'internal';
}

/** What fills a new layer: the directories below it, bottom first, and where its own are. */
export interface LayerSlot {
  readonly id: string;
  readonly lowers: readonly string[];
  readonly dir: string;
  readonly fs: string;
  readonly work: string;
}

/** Flushing more than this at the end of a build would be felt. */
const MAX_SYNCED_BYTES = 64 * 1024 * 1024;

interface Options {
  readonly store: Store;
  readonly lease: Lease;
  readonly worker: () => Promise<WorkerClient>;
  /** Measures directories of earlier commands. Default: the worker does. */
  readonly measure?: MeasureTrees;
  readonly onWarning: (message: string) => void;
}

/**
 * Makes one form of a layer from the other when it is needed: blobs are fetched and unpacked to directories, directories are
 * packed to blobs. Each is done once at a time, in this process and among processes.
 */
export class LayerService {
  readonly #store: Store;
  readonly #lease: Lease;
  readonly #worker: () => Promise<WorkerClient>;
  readonly #onWarning: (message: string) => void;
  readonly #fetchers = new Map<string, LayerFetcher>();
  readonly #packing = new SharedWork<string, PackedLayer>();
  readonly #check: DirectoryCheck;
  readonly #measurements: Measurements;
  /** For who mounts stacks. */
  readonly moved: MovedLayers;
  readonly #rewritten: RewrittenLayers;
  /** Layers that came with Windows images. They are known in every build that they can matter to, by `adopt`. */
  readonly #windows = new Set<string>();
  readonly #cached: CachedLayers;
  readonly #pulls: PullDisplay;
  readonly #unpacks: Unpacks;
  readonly #repositories = new Map<string, Repository>();
  /** Told of every layer that this process packs, as soon as its blob is in the store. */
  onPacked: ((packed: Pick<PackedLayer, 'descriptor'>, form: PackForm) => void) | undefined;
  /** Layers whose directories were made by this process and are not known to be on disk. */
  readonly made: Set<string> = new Set();

  constructor(options: Options) {
    this.#store = options.store;
    this.#lease = options.lease;
    this.#worker = options.worker;
    this.#onWarning = options.onWarning;
    this.#pulls = new PullDisplay(() => options.store.now());
    this.#cached = new CachedLayers(options.store, options.lease);
    this.#rewritten = new RewrittenLayers(options.store);
    const measure: MeasureTrees = async (paths, signal) =>
      (await options.worker()).call('usage', { paths }, { signal });
    this.#check = new DirectoryCheck(options.store, options.measure ?? measure, (id) => this.#unpacks.forget(id));
    this.#measurements = new Measurements(options.store, options.worker);
    this.moved = new MovedLayers(options.store, options.worker);
    this.#unpacks = new Unpacks({
      store: options.store,
      worker: options.worker,
      layer: (id) => this.#layer(id),
      ensureBlob: (task, id, onGrowing) => this.#ensureBlob(task, id, undefined, onGrowing),
      fetcherOf: (id) => this.#fetcherOf(id),
      isWindows: (id) => this.isWindows([id]),
      giveUp: (id, error) => (this.#cached.has(id) ? this.#cached.giveUp(id, error) : undefined),
      checked: async (task, ids) => {
        await this.directories(task, ids);
      },
      onMade: (id) => this.#trust(id),
    });
  }

  /** Whether a snapshot is one of Windows: layers on top of it, and beside it, have the form of Windows layers as blobs. */
  isWindows(ids: readonly string[]): boolean {
    if (this.#windows.size === 0) return false;
    return ids.some((id) => [id, ...(this.#store.layers.get(id)?.parents ?? [])].some((one) => this.#windows.has(one)));
  }

  /** Whether all layers are there or can be fetched. */
  available(ids: readonly string[]): boolean {
    return ids.every(
      (id) =>
        this.#store.layers.usable([id]) ||
        (this.#fetcherOf(id) !== undefined && this.#store.layers.get(id) !== undefined),
    );
  }

  /**
   * The directories of layers, bottom first; what is not unpacked is fetched and unpacked, in parallel, and so is what was changed
   * since an earlier command made it.
   * @throws DamageError when a directory was changed and there is nothing to make it from; the layer is gone then
   */
  async directories(task: Task, ids: readonly string[]): Promise<readonly string[]> {
    const paths = await this.#unpacks.directories(task, ids);
    const changed = await this.#check.changed(task, ids);
    if (changed.length === 0) return paths;
    for (const id of changed) {
      const layer = this.#layer(id);
      this.#onWarning(
        `The directory of layer "${id}" (${layer.description}) was changed after it was made: it is made again`,
      );
      const hasBlob = layer.blobs.some(({ descriptor }) => this.#store.blobs.has(descriptor.digest));
      if (!hasBlob && this.#fetcherOf(id) === undefined) throw changedDirectory(id, layer.description);
    }
    return this.directories(task, ids);
  }

  /**
   * The directories for a container, which only reads them: those of earlier commands are not gone through file by file, so that starting
   * one takes as long whatever is in its image.
   * @throws DamageError as `directories`
   */
  async directoriesToRun(task: Task, ids: readonly string[]): Promise<readonly string[]> {
    const paths = await this.#unpacks.directories(task, ids);
    return ids.every((id) => this.#check.isTheOne(id)) ? paths : this.directories(task, ids);
  }

  /** This process made the directory, and measures it. */
  #trust(id: string): void {
    this.made.add(id);
    this.#check.trust(id);
    this.#measurements.add(id);
  }

  /** Brings the blob of a layer into the store, if it is not there and can be had. */
  async #ensureBlob(task: Task, id: string, vertex?: Digest, onGrowing?: OnGrowing): Promise<void> {
    const layer = this.#layer(id);
    if (layer.blobs.some(({ descriptor }) => this.#store.blobs.has(descriptor.digest))) return;
    const fetch = this.#fetcherOf(id);
    if (fetch) await fetch(task, vertex, onGrowing);
    else if (!layer.fs)
      // It was there when the cache was asked: its maker was killed since.
      throw new DamageError('TSB_STORE', `Cannot use layer "${id}": its files are not in the store any more`, {
        hint: 'run the build again',
      });
  }

  /** What a layer is as a blob, without fetching the blob of one that can be had from elsewhere as it is. */
  async describe(task: Task, id: string, form: PackForm): Promise<PackedLayer> {
    const { diffId, blobs, createdAt, description, type } = this.#layer(id);
    const fromImage = type === 'source.image';
    const imported = this.#cached.get(id);
    const forms = imported
      ? [{ compression: compressionOf(imported.descriptor.mediaType), descriptor: imported.descriptor }]
      : blobs;
    const fits = forms.find(({ compression }) => compression === form.kind) ?? (fromImage && !form.force && forms[0]);
    const content = imported?.diffId ?? diffId;
    // With other times it is another layer, which has to be made.
    const isOther = form.clampTime !== undefined && !fromImage;
    if (this.#fetcherOf(id) === undefined || content === undefined || !fits || isOther)
      return this.pack(task, id, form);
    return { diffId: content, descriptor: fits.descriptor, createdAt, description, fromImage };
  }

  /** Brings layers into the store that are known from elsewhere only. */
  async fetch(task: Task, ids: readonly string[], vertex?: Digest): Promise<void> {
    await Promise.all(ids.map((id) => this.#ensureBlob(task, id, vertex)));
  }

  /** Whether a layer is one of an imported cache that was not fetched before this command. */
  isImported(id: string): boolean {
    return this.#cached.has(id);
  }

  /** Digests of the blobs that a layer is known to be, whether they are here or elsewhere. */
  blobsOf(id: string): readonly Digest[] {
    const imported = this.#cached.get(id)?.descriptor;
    const own = this.#store.layers.get(id)?.blobs.map(({ descriptor }) => descriptor.digest) ?? [];
    return imported === undefined ? own : [imported.digest, ...own];
  }

  /** The chain IDs of the layers at the bottom that came with an image, as far as they reach (image-spec config.md). */
  imageChains(ids: readonly string[]): readonly Digest[] {
    const rows = ids.map((id) => ({ ...this.#store.layers.get(id), known: this.#cached.get(id)?.diffId }));
    const above = rows.findIndex(({ type, diffId, known }) => type !== 'source.image' || !(known ?? diffId));
    const base = rows.slice(0, above < 0 ? rows.length : above);
    return chainIds(base.flatMap(({ diffId, known }) => known ?? diffId ?? []));
  }

  /** The repository that a layer was found in, for mounting it into another one. */
  repositoryOf(id: string): Repository | undefined {
    return this.#repositories.get(id) ?? this.#cached.repositoryOf(id);
  }

  /** The layer as a blob. A blob of another compression is taken as it is when the layer came with an image, unless forced. */
  async pack(task: Task, id: string, wanted: PackForm): Promise<PackedLayer> {
    const form = { ...wanted, windows: wanted.windows ?? this.isWindows([id]) };
    const key = `${id} ${form.kind} ${form.level ?? ''} ${form.force ?? false} ${form.clampTime ?? ''} ${form.clampAfter ?? ''} ${form.windows}`;
    return this.#packing.run(key, task.signal, () => this.#pack(task, id, form, key));
  }

  async #pack(
    task: Task,
    id: string,
    form: PackForm & { readonly windows: boolean },
    key: string,
  ): Promise<PackedLayer> {
    const layer = this.#layer(id);
    const fromImage = layer.type === 'source.image';
    const clamp = fromImage ? undefined : form.clampTime;
    const anyForm = fromImage && form.force !== true;
    // With other times, or for another system, it is another layer: that blob is not one of this one's.
    const same = clamp === undefined && (fromImage || form.windows === this.isWindows([id]));
    if (same) {
      let ready = this.#packed(layer, form.kind, anyForm);
      if (!ready && this.#fetcherOf(id) !== undefined) {
        await this.#ensureBlob(task, id);
        ready = this.#packed(this.#layer(id), form.kind, anyForm);
      }
      if (ready) return ready;
    }
    const { createdAt, description } = layer;
    const known = same ? undefined : this.#rewritten.get(key);
    if (known) {
      this.#lease.hold({ blobs: [known.descriptor.digest] });
      // Held first: it may have gone in between.
      if (this.#store.blobs.has(known.descriptor.digest)) return { ...known, createdAt, description, fromImage };
    }
    const whole = same ? anyBlob(this.#store, layer) : undefined;
    const [own, lowers] = whole
      ? ['', []]
      : [(await this.directories(task, [id])).join(''), await this.directories(task, layer.parents)];
    // Nobody else knows a layer that was just made here.
    const isNew = this.made.has(id);
    await using _lock = isNew ? undefined : await this.#store.lock(`pack-${id}`, { signal: task.signal });
    const again = same && !isNew ? this.#packed(this.#layer(id), form.kind, false) : undefined;
    if (again) return again;
    const worker = await this.#worker();
    const { signal } = task;
    const compression = compressionOfForm(form);
    const packed = whole
      ? await worker.call('recompressLayer', { ...whole, to: compression }, { signal })
      : await worker.call(
          'diffLayer',
          {
            upper: own,
            lowers,
            compression,
            ...(clamp === undefined ? {} : { clampTime: clamp }),
            ...(form.clampAfter === undefined ? {} : { clampAfter: form.clampAfter }),
            windows: form.windows,
          },
          { signal },
        );
    const descriptor: Descriptor = { mediaType: layerType(form.kind), digest: packed.digest, size: packed.size };
    this.#lease.hold({ blobs: [packed.digest] });
    if (same) this.#store.layers.addBlob(id, { compression: form.kind, descriptor, diffId: packed.diffId });
    else this.#rewritten.put(key, { diffId: packed.diffId, descriptor });
    this.onPacked?.({ descriptor }, form);
    return { diffId: packed.diffId, descriptor, createdAt, description, fromImage };
  }

  #packed(layer: Layer, kind: Compression, anyForm: boolean): PackedLayer | undefined {
    const packed = findPacked(this.#store, layer, kind, anyForm);
    if (packed) this.#lease.hold({ blobs: [packed.descriptor.digest] });
    return packed;
  }

  /** Packs a layer in the background, since it will be wanted as a blob. What fails is tried again when it is wanted. */
  packAhead(task: Task, id: string, form: PackForm): void {
    // The worker hears of the next step first: that begins, and this is done while it runs.
    setImmediate(() => {
      if (!task.signal.aborted) this.pack(task, id, form).catch(() => undefined);
    });
  }

  /**
   * After a build, off its critical path: puts on disk the directories that it made, unless that would take long. Those that are not
   * known to be on disk are made again after a reboot.
   */
  async settle(task: Task): Promise<void> {
    const ids = [...this.made];
    if (ids.length === 0 || task.signal.aborted) return;
    this.made.clear();
    await this.#measurements.finish();
    const bytes = ids.reduce((sum, id) => sum + (this.#store.layers.get(id)?.bytes ?? 0), 0);
    if (bytes > MAX_SYNCED_BYTES) return;
    const worker = await this.#worker();
    await worker.call('syncStore', {}, { signal: task.signal });
    this.#store.layers.markSynced(ids);
  }

  /** Before the worker ends, whatever came of the command: what was made and is not measured yet would have to be made again. */
  async measured(): Promise<void> {
    await this.#measurements.finish().catch(() => undefined);
  }

  /** Puts on disk what earlier commands left to the kernel, while this one does something else. */
  syncEarlier(worker: WorkerClient): void {
    const ids = this.#store.layers.unsynced();
    if (ids.length === 0) return;
    worker.call('syncStore', {}).then(
      () => this.#store.layers.markSynced(ids),
      () => undefined,
    );
  }

  /** Makes a layer by filling an empty directory. It joins the store only when `fill` succeeds and what it stands on is what it was; else it is thrown away. */
  async create(task: Task, layer: NewDirectory, fill: (slot: LayerSlot) => Promise<void>): Promise<string> {
    const lowers = await this.#unpacks.directories(task, layer.parents);
    // Beside what fills the directory, which takes longer.
    const looked = this.#check.changed(task, layer.parents);
    looked.catch(() => undefined);
    const id = this.#store.layers.create(
      { parents: layer.parents, type: layer.type ?? 'regular', description: layer.description },
      this.#lease,
    );
    // The id is new and leased: nobody else can mean it, so no lock is needed.
    const paths = this.#store.layers.prepareDirectory(id);
    try {
      await fill({ id, lowers, ...paths });
      this.#refuse(await looked);
      this.#store.layers.setFs(id, { bytes: 0, inodes: 0 });
      this.#trust(id);
      this.#unpacks.know(id);
      this.moved.know(id, layer.parents);
      return id;
    } catch (error) {
      await this.discard(id);
      // A directory that was put aside may also be why it failed.
      if (!isDamageError(error)) this.#refuse(await looked.catch(() => []));
      throw error;
    }
  }

  /** @throws DamageError when there are any: what was made on them is worth nothing */
  #refuse(changed: readonly string[]): void {
    const [first] = changed;
    if (first !== undefined) throw changedDirectory(first, this.#layer(first).description);
  }

  /** Makes a layer that is only a blob so far. */
  createPacked(
    layer: NewDirectory,
    packed: {
      readonly diffId: Digest;
      readonly digest: Digest;
      readonly size: number;
      readonly compression: Compression;
      readonly level?: number | undefined;
    },
  ): string {
    const id = this.#store.layers.create(
      { parents: layer.parents, type: layer.type ?? 'regular', description: layer.description },
      this.#lease,
    );
    this.#lease.hold({ blobs: [packed.digest] });
    const descriptor: Descriptor = {
      mediaType: layerType(packed.compression),
      digest: packed.digest,
      size: packed.size,
    };
    this.#store.layers.addBlob(id, { compression: packed.compression, descriptor, diffId: packed.diffId });
    this.onPacked?.(
      { descriptor },
      compressionOfForm({ kind: packed.compression, ...(packed.level === undefined ? {} : { level: packed.level }) }),
    );
    return id;
  }

  /**
   * Registers the layers of an image and gives their ids, bottom first.
   * @param shown what their transfers are shown under when nobody says otherwise
   */
  adopt(image: ResolvedImage, shown?: Shown): readonly string[] {
    return this.#store.batch(() => this.#adopt(image, shown));
  }

  #adopt(image: ResolvedImage, shown: Shown | undefined): readonly string[] {
    const { config, ref } = image;
    const ids = layerIdsOf(image);
    for (const [index, { descriptor, diffId }] of image.layers.entries()) {
      const id = ids[index] ?? '';
      const parents = ids.slice(0, index);
      this.#store.layers.create({ id, parents, diffId, type: 'source.image', description: ref }, this.#lease);
      if (config.os === 'windows') this.#windows.add(id);
      const compression = compressionOf(descriptor.mediaType) ?? 'gzip';
      const known = this.#store.layers.get(id)?.blobs.some((blob) => blob.descriptor.digest === descriptor.digest);
      if (!known) this.#store.layers.addBlob(id, { compression, descriptor, diffId });
      this.#lease.hold({ blobs: [descriptor.digest] });
      this.#fetchers.set(id, (task, vertex, onGrowing) => {
        const fetch = (under: Digest | undefined): Promise<void> =>
          image.fetchLayer(task, descriptor, under, onGrowing && ((file) => onGrowing(file, descriptor)));
        if (vertex !== undefined || shown === undefined || this.#store.blobs.has(descriptor.digest, descriptor.size))
          return fetch(vertex);
        return this.#pulls.show(task, shown, fetch);
      });
      if (image.repository !== undefined) this.#repositories.set(id, image.repository);
    }
    return ids;
  }

  /** Registers the layers of an imported result and gives their ids, bottom first. */
  adoptCached(layers: readonly CachedLayer[], origin: CacheOrigin): readonly string[] {
    return this.#store.batch(() => this.#cached.adopt(layers, origin, (id) => this.available([id])));
  }

  /** Takes back a layer that was not filled, with what is in its directory; never fails, for garbage collection finds it again. */
  async discard(id: string): Promise<void> {
    try {
      this.#store.layers.abandon(id);
      const { dir } = this.#store.layers.paths(id);
      if (!removeEmpty(dir)) await (await this.#worker()).call('removeTrees', { paths: [dir] });
    } catch {
      // The directory has no row that vouches for it, so the next garbage collection takes it.
    }
  }

  #fetcherOf(id: string): LayerFetcher | undefined {
    return this.#fetchers.get(id) ?? this.#cached.fetcherOf(id);
  }

  #layer(id: string): NonNullable<ReturnType<Store['layers']['get']>> {
    const layer = this.#store.layers.get(id);
    if (!layer)
      throw new TsbuildError('TSB_STORE', `Cannot use layer "${id}": it is not in the store any more`, {
        hint: 'run the build again',
      });
    return layer;
  }
}
