import {
  availablePlatforms,
  compressionOf,
  type ContentProvider,
  type Descriptor,
  documentMediaType,
  findInLayout,
  formatPlatform,
  formatReference,
  type ImageManifestNode,
  MAX_MANIFEST_BYTES,
  normalizePlatform,
  openOciLayout,
  parseReference,
  type Platform,
  type Reference,
  type Repository,
  verifyDocument,
  walk,
  withDefaultTag,
} from '../image/index.ts';
import { registryContent } from '../registry/index.ts';
import { type Digest, isDigest, isTsbuildError, sanitizeLine, SharedWork, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { BlobOrigins } from './blob-origins.ts';
import { BlobFetcher } from './image-fetch.ts';
import type {
  ImageOrigin,
  ImageSource,
  ImageSourceOptions,
  ResolvedImage,
  ResolveMode,
  ResolveOptions,
} from './image-types.ts';
import { layerIdsOf } from './layer-ids.ts';
import { layoutOrigin } from './layout-origin.ts';
import { OCI_LAYOUT, parseLayoutReference } from './layout-reference.ts';

const FACT_KIND = 'image.resolve';

/** Makes the image source of one build: what it resolved once stays as it was until the build ends. */
export function createImageSource(options: ImageSourceOptions): ImageSource {
  return new Images(options);
}

interface Root {
  readonly ref: string;
  readonly descriptor: Descriptor;
  readonly origin: ImageOrigin;
  readonly repository?: Repository;
}

class Images implements ImageSource {
  readonly #options: ImageSourceOptions;
  readonly #fetcher: BlobFetcher;
  readonly #resolved = new SharedWork<string, ResolvedImage>({ keep: true });

  constructor(options: ImageSourceOptions) {
    this.#options = options;
    this.#fetcher = new BlobFetcher(options);
  }

  async resolve(task: Task, ref: string, platform: Platform, options: ResolveOptions = {}): Promise<ResolvedImage> {
    const key = `${options.mode ?? 'default'} ${formatPlatform(normalizePlatform(platform))} ${ref}`;
    return this.#resolved.run(key, task.signal, () => this.#resolve(task, ref, platform, options));
  }

  async #resolve(
    task: Task,
    ref: string,
    platform: Platform,
    { mode = 'default' }: ResolveOptions,
  ): Promise<ResolvedImage> {
    if (ref.startsWith(OCI_LAYOUT)) {
      this.#options.observe?.elsewhere();
      return this.#load(task, layoutRoot(ref), platform);
    }
    const reference = withDefaultTag(parseReference(ref));
    if (reference.digest !== undefined) return this.#find(task, reference, platform, mode);
    const { pins } = this.#options;
    const pin = pins?.image(formatReference(reference));
    if (pin === undefined) {
      const found = await this.#find(task, reference, platform, mode);
      pins?.record({ type: 'docker-image', ref: formatReference(reference), pin: found.digest });
      return found;
    }
    try {
      const found = await this.#find(task, { ...reference, digest: pin.pin }, platform, mode);
      return { ...found, ref: formatReference(reference) };
    } catch (error) {
      throw pins?.lost(pin, error) ?? error;
    }
  }

  async fetchBlob(
    task: Task,
    from: Repository | { readonly layout: string },
    digest: Digest,
    vertex: Digest,
  ): Promise<void> {
    const { store, lease, registry } = this.#options;
    lease.hold({ blobs: [digest] });
    if (store.blobs.has(digest)) return;
    const [size, origin] =
      'layout' in from
        ? [sizeInLayout(from.layout, digest), layoutOrigin(from.layout)]
        : [await registry.blobSize(task, from, digest), this.#registryOrigin(from)];
    await this.#fetcher.fetch(task, origin, { mediaType: 'application/octet-stream', digest, size }, vertex);
  }

  /** From the local image store, from what is known, or from the registry. */
  async #find(task: Task, reference: Reference, platform: Platform, mode: ResolveMode): Promise<ResolvedImage> {
    const { observe } = this.#options;
    const local = mode === 'pull' ? undefined : await this.#resolveLocal(task, reference, platform);
    if (local !== undefined && 'ref' in local) return local;
    observe?.elsewhere();
    if (mode === 'local' || this.#options.offline === true) {
      const known = await this.#resolveKnown(task, reference, platform);
      if (known !== undefined) return known;
    }
    try {
      return await this.#resolveRemote(task, reference, platform, mode !== 'pull');
    } catch (error) {
      // Whoever imported the image is told of it, and not of a registry that never had it.
      if (local === undefined || task.signal.aborted) throw error;
      throw missing(local.lost, error);
    }
  }

  /**
   * From the local image store; a name there without an image for the platform does not count.
   * @returns a blob that is gone, where the image lacks one
   */
  async #resolveLocal(
    task: Task,
    reference: Reference,
    platform: Platform,
  ): Promise<ResolvedImage | { readonly lost: Digest } | undefined> {
    const { digest, ...named } = reference;
    const file = this.#options.store.images.file(formatReference(named));
    if (file === undefined) return undefined;
    const { descriptor } = file.image;
    if (digest !== undefined && digest !== descriptor.digest) return undefined;
    try {
      const found = await this.#load(task, { ref: formatReference(reference), descriptor, origin: nowhere }, platform);
      // Removed by its name and pruned between the two: then it is no image of this store.
      const lost = this.#lostLayer(found);
      if (lost !== undefined) return { lost };
      this.#options.observe?.local(file.path, file.text);
      return found;
    } catch (error) {
      if (isTsbuildError(error, 'TSB_NOT_FOUND') || isTsbuildError(error, 'TSB_DIGEST')) return undefined;
      throw error;
    }
  }

  async #resolveRemote(
    task: Task,
    reference: Reference,
    platform: Platform,
    mayFallBack: boolean,
  ): Promise<ResolvedImage> {
    const ref = formatReference(reference);
    const origin = this.#registryOrigin(reference);
    let descriptor: Descriptor;
    try {
      descriptor = this.#pinned(reference) ?? (await this.#options.registry.resolve(task, reference));
    } catch (error) {
      if (!mayFallBack || !isTsbuildError(error, 'TSB_NETWORK')) throw error;
      const known = await this.#resolveKnown(task, reference, platform);
      if (known === undefined) throw error;
      this.#warn(task, `${error.message}; using ${known.digest}, which it stood for before`);
      return known;
    }
    const { host, path } = reference;
    const image = await this.#load(task, { ref, descriptor, origin, repository: { host, path } }, platform);
    const { facts } = this.#options;
    facts?.put(FACT_KIND, ref, descriptor);
    if (facts !== undefined)
      new BlobOrigins(facts).note(
        image.layers.map((layer) => layer.descriptor.digest),
        { host, path },
      );
    return image;
  }

  /** A digest whose document is in the store needs no network. */
  #pinned(reference: Reference): Descriptor | undefined {
    if (reference.digest === undefined) return undefined;
    const bytes = this.#options.store.blobs.peek(reference.digest, MAX_MANIFEST_BYTES);
    if (bytes === undefined) return undefined;
    const mediaType = documentMediaType(bytes, undefined, `manifest of ${JSON.stringify(formatReference(reference))}`);
    return { mediaType, digest: reference.digest, size: bytes.length };
  }

  /** What the reference stood for when it was last resolved, if that is still in the store. */
  async #resolveKnown(task: Task, reference: Reference, platform: Platform): Promise<ResolvedImage | undefined> {
    const ref = formatReference(reference);
    const value = this.#options.facts?.get(FACT_KIND, ref)?.value as Partial<Descriptor> | null | undefined;
    if (!isDigest(value?.digest) || typeof value.mediaType !== 'string' || !Number.isSafeInteger(value.size))
      return undefined;
    const descriptor = { mediaType: value.mediaType, digest: value.digest, size: value.size ?? 0 };
    try {
      const image = await this.#load(task, { ref, descriptor, origin: nowhere }, platform);
      // Layers that are missing may still come from the registry.
      return { ...image, fetchLayer: this.#layerFetcher(this.#registryOrigin(reference)) };
    } catch {
      return undefined;
    }
  }

  #registryOrigin({ host, path }: Repository): ImageOrigin {
    return (task) => registryContent(this.#options.registry, task, { host, path });
  }

  async #load(task: Task, root: Root, platform: Platform): Promise<ResolvedImage> {
    const { manifest, config, configBytes, descriptor } = await this.#choose(task, root, platform);
    const layers = manifest.layers.map((layer, index) => ({
      descriptor: layer,
      diffId: config.rootfs.diff_ids[index] ?? layer.digest,
    }));
    // With the documents, before anybody looks whether they are there: what is there then stays.
    this.#options.lease.hold({
      blobs: layers.map((layer) => layer.descriptor.digest),
      layers: layerIdsOf({ config, layers }),
    });
    return {
      ref: root.ref,
      digest: root.descriptor.digest,
      descriptor: root.descriptor,
      manifestDigest: descriptor.digest,
      manifest,
      config,
      configBytes,
      layers,
      ...(root.repository === undefined ? {} : { repository: root.repository }),
      fetchLayer: this.#layerFetcher(root.origin),
    };
  }

  /** The blob of a layer that is neither there nor unpacked. */
  #lostLayer(image: ResolvedImage): Digest | undefined {
    const { store } = this.#options;
    const ids = layerIdsOf(image);
    return image.layers.find(
      ({ descriptor }, index) => !store.blobs.has(descriptor.digest) && store.layers.get(ids[index] ?? '')?.fs !== true,
    )?.descriptor.digest;
  }

  #layerFetcher(origin: ImageOrigin): ResolvedImage['fetchLayer'] {
    return async (task, layer, vertex, onGrowing) => this.#fetcher.fetch(task, origin, layer, vertex, onGrowing);
  }

  /** The first image that the walk finds for the platform. */
  async #choose(task: Task, root: Root, platform: Platform): Promise<ImageManifestNode> {
    const what = `image ${JSON.stringify(root.ref)}`;
    const offered = new Set<string>();
    let artifact: string | undefined;
    for await (const node of walk(this.#provider(task, root, what), root.descriptor, { what, platform })) {
      switch (node.kind) {
        case 'image':
          requireLayers(node, what);
          return node;
        case 'artifact':
          artifact ??= node.manifest.config.mediaType;
          break;
        case 'index':
          for (const text of availablePlatforms(node.index)) offered.add(text);
          break;
        case 'absent':
          throw missing(node.descriptor.digest);
        case 'malformed':
          throw node.error;
        case 'foreign':
          break;
        default:
          node satisfies never;
      }
    }
    if (artifact !== undefined) {
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot use ${what}: it is not a container image but an artifact with a config of type ${artifact}`,
      );
    }
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot use ${what} for ${formatPlatform(platform)}: no match for platform in manifest: not found`,
      offered.size === 0
        ? {}
        : {
            hint: `it is available for ${[...offered]
              .slice(0, 20)
              .map((text) => sanitizeLine(text, 60))
              .join(', ')}`,
          },
    );
  }

  /** Documents from the store, or else from where the image comes from; the store keeps them. */
  #provider(task: Task, root: Root, what: string): Pick<ContentProvider, 'read'> {
    const { store, lease } = this.#options;
    const origin = root.origin(task);
    return {
      async read(descriptor) {
        const { digest, size } = descriptor;
        lease.hold({ blobs: [digest] });
        const known = store.blobs.peek(digest, size);
        if (known !== undefined) return known;
        const bytes = await origin.read(descriptor);
        if (bytes === undefined) return undefined;
        verifyDocument(bytes, descriptor, what);
        store.blobs.put(bytes);
        return bytes;
      },
    };
  }

  #warn(task: Task, message: string): void {
    task.events({
      type: 'diagnostic',
      diagnostic: { code: 'OfflineImage', severity: 'warning', message, ranges: [] },
      at: this.#options.now(),
    });
  }
}

/** For images that must be in the store. */
const nowhere: ImageOrigin = () => ({
  read: () => undefined,
  stream: ({ digest }) => {
    throw missing(digest);
  },
});

function missing(digest: Digest, cause?: unknown): TsbuildError {
  return new TsbuildError('TSB_NOT_FOUND', `Cannot find blob ${digest} of the image`, {
    hint: 'import the image again, or pull it with --pull',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A step can only start from layers that can be unpacked, each known by its diff id. */
function requireLayers({ manifest, config }: ImageManifestNode, what: string): void {
  const fail = (why: string): TsbuildError => new TsbuildError('TSB_IMAGE', `Cannot use ${what}: ${why}`);
  for (const { mediaType } of manifest.layers) {
    if (compressionOf(mediaType) === undefined)
      throw fail(`it has a layer of type ${mediaType}, which is not supported`);
  }
  const { length } = config.rootfs.diff_ids;
  if (length !== manifest.layers.length)
    throw fail(`its config has ${length} diff ids for the ${manifest.layers.length} layers of its manifest`);
}

/** Bytes of a blob of a layout. */
function sizeInLayout(path: string, digest: Digest): number {
  using layout = openOciLayout(path);
  const size = layout.size(digest);
  if (size !== undefined) return size;
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot find blob ${digest} of OCI layout ${JSON.stringify(path)}`);
}

function layoutRoot(ref: string): Root {
  const { path, tag, digest } = parseLayoutReference(ref);
  using layout = openOciLayout(path);
  return {
    ref,
    descriptor: findInLayout(layout, {
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    }),
    origin: layoutOrigin(path),
  };
}
