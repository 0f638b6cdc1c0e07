import {
  documentMediaType,
  formatReference,
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseReference,
  type Reference,
  type Repository,
  withDefaultTag,
  compressionOf,
  type Descriptor,
  formatPlatform,
  type ImageConfig,
  type Manifest,
  mediaTypes,
  normalizePlatform,
  type Platform,
} from '../image/index.ts';
import { MAX_MANIFEST_BYTES } from '../registry/index.ts';
import { type Digest, isDigest, isTsbuildError, parseDigest, sanitizeLine, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { BlobFetcher } from './image-fetch.ts';
import { availablePlatforms, platformVector, selectManifests } from './image-platform.ts';
import type { ImageOrigin, ImageSource, ImageSourceOptions, ResolvedImage, ResolveOptions } from './image-types.ts';
import { findInLayout, openOciLayout } from './oci-layout.ts';

const OCI_LAYOUT = 'oci-layout://';
const CONFIG_TYPES: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];
/** Indexes within indexes; more than this is nobody's image. */
const MAX_DEPTH = 4;
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

interface Chosen {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
}

class Images implements ImageSource {
  readonly #options: ImageSourceOptions;
  readonly #fetcher: BlobFetcher;
  readonly #resolved = new Map<string, Promise<ResolvedImage>>();

  constructor(options: ImageSourceOptions) {
    this.#options = options;
    this.#fetcher = new BlobFetcher(options);
  }

  async resolve(task: Task, ref: string, platform: Platform, options: ResolveOptions = {}): Promise<ResolvedImage> {
    const key = `${options.mode ?? 'default'} ${formatPlatform(normalizePlatform(platform))} ${ref}`;
    let resolved = this.#resolved.get(key);
    if (resolved === undefined) {
      resolved = this.#resolve(task, ref, platform, options);
      this.#resolved.set(key, resolved);
      resolved.catch(() => this.#resolved.delete(key));
    }
    return resolved;
  }

  async #resolve(
    task: Task,
    ref: string,
    platform: Platform,
    { mode = 'default' }: ResolveOptions,
  ): Promise<ResolvedImage> {
    const { observe } = this.#options;
    if (ref.startsWith(OCI_LAYOUT)) {
      observe?.elsewhere();
      return this.#load(task, layoutRoot(ref), platform);
    }
    const reference = withDefaultTag(parseReference(ref));
    if (mode !== 'pull') {
      const local = await this.#resolveLocal(task, reference, platform);
      if (local !== undefined) return local;
    }
    observe?.elsewhere();
    if (mode === 'local') {
      const known = await this.#resolveKnown(task, reference, platform);
      if (known !== undefined) return known;
    }
    return this.#resolveRemote(task, reference, platform, mode !== 'pull');
  }

  /** From the local image store; a name there without an image for the platform does not count. */
  async #resolveLocal(task: Task, reference: Reference, platform: Platform): Promise<ResolvedImage | undefined> {
    const { digest, ...named } = reference;
    const file = this.#options.store.images.file(formatReference(named));
    if (file === undefined) return undefined;
    const { descriptor } = file.image;
    if (digest !== undefined && digest !== descriptor.digest) return undefined;
    try {
      const found = await this.#load(task, { ref: formatReference(reference), descriptor, origin: nowhere }, platform);
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
    this.#options.facts?.put(FACT_KIND, ref, descriptor);
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

  #registryOrigin({ host, path }: Reference): ImageOrigin {
    const { registry } = this.#options;
    return {
      async document(task, descriptor) {
        const isManifest = isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType);
        if (isManifest) return (await registry.manifest(task, { host, path, digest: descriptor.digest })).bytes;
        const chunks: Uint8Array[] = [];
        for await (const chunk of registry.blob(task, { host, path }, descriptor)) chunks.push(chunk);
        return Buffer.concat(chunks);
      },
      // The store hashes what it writes.
      blob: (task, descriptor) => registry.blob(task, { host, path }, descriptor, { verify: false }),
    };
  }

  async #load(task: Task, root: Root, platform: Platform): Promise<ResolvedImage> {
    const { manifest, config, configBytes, descriptor } = await this.#choose(task, root, platform);
    const layers = manifest.layers.map((layer, index) => ({
      descriptor: layer,
      diffId: config.rootfs.diff_ids[index] ?? layer.digest,
    }));
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

  #layerFetcher(origin: ImageOrigin): ResolvedImage['fetchLayer'] {
    return async (task, layer, vertex) => this.#fetcher.fetch(task, origin, layer, vertex);
  }

  async #choose(task: Task, root: Root, platform: Platform): Promise<Chosen> {
    const name = JSON.stringify(root.ref);
    if (isManifestType(root.descriptor.mediaType)) return this.#image(task, root, root.descriptor);
    const seen = new Set<Digest>();
    const offered = new Set<string>();
    const search = async (descriptor: Descriptor, depth: number): Promise<Chosen | undefined> => {
      // The same index within itself, by whatever detour, has nothing new to offer.
      if (depth > MAX_DEPTH || seen.has(descriptor.digest)) return undefined;
      seen.add(descriptor.digest);
      const bytes = await this.#document(task, root, descriptor, MAX_MANIFEST_BYTES);
      const index = parseIndex(bytes, descriptor.mediaType, `index of ${name}`);
      for (const text of availablePlatforms(index)) offered.add(text);
      for (const entry of selectManifests(index, platform)) {
        if (isIndexType(entry.mediaType)) {
          const nested = await search(entry, depth + 1);
          if (nested !== undefined) return nested;
          continue;
        }
        const image = await this.#image(task, root, entry);
        if (entry.platform !== undefined || runsOn(image.config, platform)) return image;
      }
      return undefined;
    };
    const found = isIndexType(root.descriptor.mediaType) ? await search(root.descriptor, 1) : undefined;
    if (found !== undefined) return found;
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot use image ${name} for ${formatPlatform(platform)}: no match for platform in manifest: not found`,
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

  async #image(task: Task, root: Root, descriptor: Descriptor): Promise<Chosen> {
    const name = JSON.stringify(root.ref);
    const bytes = await this.#document(task, root, descriptor, MAX_MANIFEST_BYTES);
    const manifest = parseManifest(bytes, descriptor.mediaType, `manifest of ${name}`);
    const fail = (why: string): TsbuildError => new TsbuildError('TSB_IMAGE', `Cannot use image ${name}: ${why}`);
    if (!CONFIG_TYPES.includes(manifest.config.mediaType)) {
      throw fail(`it is not a container image but an artifact with a config of type ${manifest.config.mediaType}`);
    }
    for (const { mediaType } of manifest.layers) {
      if (compressionOf(mediaType) === undefined)
        throw fail(`it has a layer of type ${mediaType}, which is not supported`);
    }
    const configBytes = await this.#document(task, root, manifest.config, MAX_CONFIG_BYTES);
    const config = parseImageConfig(configBytes, `config of ${name}`);
    const { length } = config.rootfs.diff_ids;
    if (length !== manifest.layers.length) {
      throw fail(`its config has ${length} diff ids for the ${manifest.layers.length} layers of its manifest`);
    }
    return { descriptor, manifest, config, configBytes };
  }

  /** A small document by descriptor, from the store or else from where the image comes from, which the store keeps. */
  async #document(task: Task, root: Root, descriptor: Descriptor, maxBytes: number): Promise<Uint8Array> {
    const { store, lease } = this.#options;
    const { digest, size } = descriptor;
    if (size > maxBytes) {
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot use image ${JSON.stringify(root.ref)}: document ${digest} has ${size} bytes, more than the limit of ${maxBytes}`,
      );
    }
    lease.hold({ blobs: [digest] });
    const known = store.blobs.peek(digest, maxBytes);
    const bytes = known ?? (await root.origin.document(task, descriptor));
    if (bytes.length !== size) {
      throw new TsbuildError(
        'TSB_DIGEST',
        `Cannot use image ${JSON.stringify(root.ref)}: document ${digest} has ${bytes.length} bytes, its descriptor says ${size}`,
      );
    }
    if (known === undefined && store.blobs.put(bytes).digest !== digest) {
      throw new TsbuildError(
        'TSB_DIGEST',
        `Cannot use image ${JSON.stringify(root.ref)}: document ${digest} has another digest`,
      );
    }
    return bytes;
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
const nowhere: ImageOrigin = {
  document: async (_, { digest }) => Promise.reject(missing(digest)),
  blob: (_, { digest }) => {
    throw missing(digest);
  },
};

function missing(digest: Digest): TsbuildError {
  return new TsbuildError('TSB_NOT_FOUND', `Cannot find blob ${digest} in the local image store`, {
    hint: 'import the image again, or pull it with --pull',
  });
}

function runsOn(config: ImageConfig, platform: Platform): boolean {
  const own = formatPlatform(
    normalizePlatform({
      os: config.os,
      architecture: config.architecture,
      ...(config.variant ? { variant: config.variant } : {}),
    }),
  );
  return platformVector(platform).some((candidate) => formatPlatform(candidate) === own);
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
    origin: {
      async document(_, { digest, size }) {
        using source = openOciLayout(path);
        return source.read(digest, size);
      },
      *blob(_, { digest }) {
        using source = openOciLayout(path);
        yield* source.stream(digest);
      },
    },
  };
}

/** Splits `oci-layout://path[:tag][@digest]`. A colon before the last slash belongs to the path. */
export function parseLayoutReference(ref: string): {
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
} {
  const fail = (): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(sanitizeLine(ref, 300))}: expected "oci-layout://path[:tag][@digest]"`,
    );
  const match = /^oci-layout:\/\/(.+?)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[^/@]*))?$/s.exec(ref);
  if (match?.[1] === undefined || match[1].includes('\0')) throw fail();
  return {
    path: match[1],
    ...(match[2] === undefined ? {} : { tag: match[2] }),
    ...(match[3] === undefined ? {} : { digest: parseDigest(match[3]) }),
  };
}
