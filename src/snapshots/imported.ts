import type { CachedLayer } from '../remote-cache/index.ts';
import { readContent } from '../layer/index.ts';
import { type Repository, compressionOf, type Descriptor } from '../image/index.ts';
import { chainIds, type Lease, type Store } from '../store/index.ts';
import { canonicalDigest, type Digest, hexOf, messageOf, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';

/** Where the layers of an imported cache come from. */
export interface CacheOrigin {
  /** Brings a blob into the store. */
  readonly fetch: (task: Task, blob: Descriptor, vertex: Digest | undefined) => Promise<void>;
  /** The repository that has them, if it is one. */
  readonly repository?: Repository;
  /** Told why a layer cannot be had; what has it is not to be used any more. */
  readonly onDamage: (error: unknown, layer: CachedLayer) => void;
}

/** A layer of an imported cache: it is not part of the store until its blob was fetched and looked at. */
interface Imported {
  readonly layer: CachedLayer;
  readonly origin: CacheOrigin;
}

/**
 * Layers of imported caches that are not in the store yet. What a cache says about a layer is not known to be right, so the store has
 * no blob of it before that was fetched and looked at.
 */
export class CachedLayers {
  readonly #store: Store;
  readonly #lease: Lease;
  readonly #imported = new Map<string, Imported>();

  constructor(store: Store, lease: Lease) {
    this.#store = store;
    this.#lease = lease;
  }

  has(id: string): boolean {
    return this.#imported.has(id);
  }

  get(id: string): CachedLayer | undefined {
    return this.#imported.get(id)?.layer;
  }

  repositoryOf(id: string): Repository | undefined {
    return this.#imported.get(id)?.origin.repository;
  }

  fetcherOf(id: string): ((task: Task, vertex?: Digest) => Promise<void>) | undefined {
    const imported = this.#imported.get(id);
    return imported && ((task, vertex) => this.#fetch(task, id, imported, vertex));
  }

  /**
   * Registers the layers of a result and gives their ids, bottom first. Base layers that an image of this build has are that image's;
   * the others have ids of their own, which say all that the cache does, so that a lie is about nobody else's layer.
   * @param isAvailable whether an image layer is there or can be fetched
   */
  adopt(
    layers: readonly CachedLayer[],
    origin: CacheOrigin,
    isAvailable: (imageLayer: string) => boolean,
  ): readonly string[] {
    const chains = chainIds(layers.map(({ diffId }) => diffId));
    const ids: string[] = [];
    let isBase = true;
    for (const [index, layer] of layers.entries()) {
      const chain = hexOf(chains[index] ?? layer.diffId);
      isBase &&= layer.fromImage && this.#store.layers.get(chain)?.type === 'source.image' && isAvailable(chain);
      if (isBase) this.#lease.hold({ layers: [chain] });
      ids.push(isBase ? chain : this.#adopt(layer, origin, ids));
    }
    return ids;
  }

  #adopt(layer: CachedLayer, origin: CacheOrigin, parents: readonly string[]): string {
    const { descriptor, diffId, createdAt, description, fromImage } = layer;
    const below = parents.at(-1) ?? '';
    const id = hexOf(
      canonicalDigest('tsbuild.cached-layer.v1', [below, descriptor.digest, diffId, createdAt, description, fromImage]),
    );
    const type = fromImage ? 'source.image' : 'regular';
    this.#store.layers.create({ id, parents: [...parents], type, description, createdAt }, this.#lease);
    this.#lease.hold({ blobs: [descriptor.digest] });
    if (!this.#store.layers.usable([id])) this.#imported.set(id, { layer, origin });
    return id;
  }

  async #fetch(task: Task, id: string, { layer, origin }: Imported, vertex: Digest | undefined): Promise<void> {
    const { descriptor, diffId } = layer;
    const compression = compressionOf(descriptor.mediaType) ?? 'gzip';
    try {
      // No vertex is that of the cache: the one that needs the layer shows it.
      await origin.fetch(task, descriptor, vertex ?? task.vertex);
      const source = this.#store.blobs.path(descriptor.digest);
      // Nothing but its digest is wanted. Bombs end at the limits for all layers.
      const content = await readContent({ source, compression, signal: task.signal }, () => undefined);
      if (content.diffId !== diffId)
        throw new TsbuildError('TSB_DIGEST', `Cannot use blob ${descriptor.digest}: its content is not ${diffId}`);
    } catch (error) {
      if (task.signal.aborted) throw error;
      throw this.giveUp(id, error);
    }
    this.#store.layers.addBlob(id, { compression, descriptor, diffId });
  }

  /**
   * Takes back all layers of the cache that a damaged one belongs to. What was fetched and is right stays.
   * @returns the error for whoever wanted the layer
   */
  giveUp(id: string, error: unknown): TsbuildError {
    const damaged = this.#imported.get(id);
    const origin = damaged?.origin;
    for (const [other, imported] of this.#imported) if (imported.origin === origin) this.#imported.delete(other);
    for (const { descriptor } of this.#store.layers.get(id)?.blobs ?? [])
      this.#store.layers.dropBlob(id, descriptor.digest);
    if (damaged !== undefined) damaged.origin.onDamage(error, damaged.layer);
    return new TsbuildError('TSB_STORE', `Cannot use a layer of an imported cache: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
