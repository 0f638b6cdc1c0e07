import {
  type AssembledImage,
  type KnownRepositories,
  type OutputSpec,
  pushing,
  pushImage,
  streamBlob,
} from '../../exporter/index.ts';
import { type Descriptor, parseReference, type Repository } from '../../image/index.ts';
import { type RepositoryWriter, RepositoryWriters, type UploadListener } from '../../registry/index.ts';
import type { PackedLayer } from '../../snapshots/index.ts';
import { type Digest, formatBytes, TsbuildError } from '../../util/index.ts';
import type { ReportStatus, Task } from '../../events/index.ts';
import type { Session } from '../session.ts';

/**
 * What a build pushes: one writer for each repository, from the first layer on. A layer goes to the registries as soon as it is packed,
 * while the next step runs or the next layer is compressed; manifests and tags follow when all outputs of the build are known.
 */
export class Pushes implements Disposable {
  readonly #session: Session;
  /** Ends what was sent ahead and is not wanted any more. */
  readonly #abort = new AbortController();
  readonly #writers: RepositoryWriters;
  /** By registry. */
  readonly #targets: ReadonlyMap<string, readonly Repository[]>;
  /** Set while an output is shown. What goes out before is not: it belongs to no vertex yet. */
  #status: ReportStatus | undefined;
  readonly #onSent: UploadListener = ({ digest, size }, sent) => this.#status?.(pushing(digest), sent, size);

  /** @param writers those of the build, which others use as well */
  constructor(
    session: Session,
    specs: readonly OutputSpec[],
    writers: RepositoryWriters = new RepositoryWriters(session.registry),
  ) {
    this.#session = session;
    this.#writers = writers;
    const targets = specs.flatMap((spec) =>
      spec.type === 'image' && spec.push !== undefined ? spec.names.map((name) => parseReference(name)) : [],
    );
    this.#targets = Map.groupBy(targets, ({ host }) => host);
  }

  /** Whether anything is pushed at all. */
  get isAny(): boolean {
    return this.#targets.size > 0;
  }

  /** Sends a layer ahead that will be part of the image. */
  ahead(task: Task, { descriptor }: Pick<PackedLayer, 'descriptor'>): void {
    const signal = AbortSignal.any([task.signal, this.#abort.signal]);
    for (const repositories of this.#targets.values()) void this.#ahead({ ...task, signal }, repositories, descriptor);
  }

  /** One repository after the other: from the first of a registry the others can have it mounted. */
  async #ahead(task: Task, repositories: readonly Repository[], { digest, size }: Descriptor): Promise<void> {
    const { store, origins } = this.#session;
    const open = (start: number): Iterable<Uint8Array> => streamBlob(store.blobs, { digest, size }, start);
    for (const repository of repositories) {
      const writer = this.#writer(repository);
      const isThere = await writer.blobAhead(task, { digest, size, open }, () => origins.of(digest));
      // With the end of the command its store is closed.
      if (isThere && !task.signal.aborted) origins.note([digest], repository);
    }
  }

  /**
   * Pushes an image under its names.
   * @param layers ids of the layers by digest, for those that the store lacks
   * @throws TsbuildError as `pushImage`
   */
  async push(
    task: Task,
    names: readonly string[],
    image: AssembledImage,
    layers: ReadonlyMap<Digest, string>,
    status: ReportStatus,
  ): Promise<void> {
    const { store, origins } = this.#session;
    const absent = image.platforms
      .flatMap((platform) => platform.layers)
      .filter(({ digest, size }) => !store.blobs.has(digest, size));
    this.#status = status;
    try {
      const stream = (layer: Descriptor): AsyncIterable<Uint8Array> =>
        this.#stream(task, layer, layers.get(layer.digest));
      const writer = (repository: Repository): RepositoryWriter => this.#writer(repository);
      const known: KnownRepositories = {
        // A layer of a cache is in the cache's repository, which nobody has noted.
        of: (digest) => this.#session.repositoriesOf({ digest }, layers.get(digest)),
        note: (digests, repository) => origins.note(digests, repository),
      };
      await pushImage(task, names, image, { stream, writer, origins: known, status });
    } finally {
      this.#status = undefined;
    }
    const unmoved = absent.filter(({ digest, size }) => !store.blobs.has(digest, size));
    const bytes = unmoved.reduce((sum, { size }) => sum + size, 0);
    const isCached = unmoved.some(({ digest }) => this.#session.layers.isImported(layers.get(digest) ?? ''));
    const whose = isCached ? 'base images and caches' : 'base images';
    if (unmoved.length > 0)
      status(
        `neither fetched nor sent: ${unmoved.length} ${unmoved.length === 1 ? 'layer' : 'layers'} of ${whose} (${formatBytes(bytes)})`,
        0,
        undefined,
        true,
      );
  }

  /** A layer that only a registry has is fetched when another one wants it, and only then. */
  async *#stream(task: Task, layer: Descriptor, id: string | undefined): AsyncGenerator<Uint8Array> {
    const { store, layers } = this.#session;
    if (id !== undefined && !store.blobs.has(layer.digest, layer.size)) await layers.fetch(task, [id]);
    yield* streamBlob(store.blobs, layer);
  }

  /** What a failed build has sent ahead stays in the registry until that collects what no manifest names. */
  [Symbol.dispose](): void {
    this.#abort.abort(new TsbuildError('TSB_CANCELED', 'Canceled: the build has ended'));
  }

  #writer(repository: Repository): RepositoryWriter {
    return this.#writers.of(repository).watch(this.#onSent);
  }
}
