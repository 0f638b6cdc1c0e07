import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import {
  documentMediaType,
  guardFor,
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from '../registry/index.ts';
import { decompress, SNIFF_BYTES, sniffCompression } from '../layer/index.ts';
import {
  checkLayoutVersion,
  IMAGE_NAME_ANNOTATION,
  type LayoutReader,
  openOciLayout,
  parseLayoutIndex,
  REF_NAME_ANNOTATION,
} from '../source/index.ts';
import type { Lease, Store } from '../store/index.ts';
import {
  type Descriptor,
  type Digest,
  Hasher,
  hexOf,
  mediaTypes,
  parseStrictJson,
  type Platform,
  sha256,
  type Task,
  TsbuildError,
} from '../util/index.ts';
import { ArchiveFile, type ArchiveSource } from './archive-file.ts';
import { goJson, goJsonIndented, goTime } from './go-json.ts';
import { parseNames } from './names.ts';

const MAX_DEPTH = 4;
const OCI_LAYERS = { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd } as const;

export interface ImportOptions {
  readonly store: Store;
  readonly lease: Lease;
  /** Names for the image instead of those that the archive has; only for archives with one image. */
  readonly names?: readonly string[];
  /** What an archive is taken for. Default `auto`: by what is in it. */
  readonly format?: 'auto' | 'image' | 'rootfs';
  /** Of a root file system, which does not tell. */
  readonly platform: Platform;
}

/** An image that was imported. */
export interface ImportedImage {
  /** Normalised; none when the archive has none and none were given: such an image goes with the next prune. */
  readonly names: readonly string[];
  readonly descriptor: Descriptor;
}

/**
 * Imports images into the local image store: an OCI archive, a docker archive (`docker save`, old and new), or a plain
 * root file system tar, which becomes an image of one layer. Everything is verified: digests, sizes, and for docker
 * archives the layers against the config.
 * @throws TsbuildError `TSB_ARCHIVE`, `TSB_IMAGE`, `TSB_DIGEST`, `TSB_NOT_FOUND`, `TSB_NO_SPACE`, `TSB_STORE`
 */
export async function importArchive(
  task: Task,
  source: ArchiveSource,
  options: ImportOptions,
): Promise<ImportedImage[]> {
  using archive = await ArchiveFile.open(task, options.store.blobs, source);
  const format = options.format ?? 'auto';
  if (format !== 'rootfs') {
    if (archive.has('oci-layout') && archive.has('index.json'))
      return await importLayout(task, layoutOf(archive), options);
    const manifest = archive.has('manifest.json') ? dockerManifest(archive, format === 'image') : undefined;
    if (manifest !== undefined) return await importDocker(task, archive, manifest, options);
    if (format === 'image') {
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot import ${archive.what}: it is neither an OCI archive nor a docker archive`,
      );
    }
  }
  return await importRootfs(task, archive, options);
}

/**
 * Imports the images of an OCI layout in a directory.
 * @throws TsbuildError as `importArchive`
 */
export async function importDirectory(task: Task, path: string, options: ImportOptions): Promise<ImportedImage[]> {
  using layout = openOciLayout(path);
  return await importLayout(task, layout, options);
}

function layoutOf(archive: ArchiveFile): LayoutReader {
  const path = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;
  checkLayoutVersion(archive.read('oci-layout', 64 * 1024), archive.what);
  return {
    what: archive.what,
    index: parseLayoutIndex(archive.read('index.json', MAX_MANIFEST_BYTES), archive.what),
    read(digest, maxBytes) {
      const bytes = archive.read(path(digest), maxBytes);
      if (sha256(bytes) === digest) return bytes;
      throw new TsbuildError(
        'TSB_DIGEST',
        `Cannot use blob ${digest} of ${archive.what}: its content has another digest`,
      );
    },
    stream: (digest) => archive.stream(path(digest)),
  };
}

async function importLayout(task: Task, layout: LayoutReader, options: ImportOptions): Promise<ImportedImage[]> {
  const found = new Map<Digest, { descriptor: Descriptor; names: Set<string> }>();
  for (const entry of layout.index.manifests) {
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) continue;
    const { mediaType, digest, size } = entry;
    const image = found.get(digest) ?? { descriptor: { mediaType, digest, size }, names: new Set() };
    found.set(digest, image);
    const name = nameOf(entry);
    if (name !== undefined) image.names.add(name);
  }
  if (found.size === 0) throw new TsbuildError('TSB_IMAGE', `Cannot import ${layout.what}: it has no images`);
  const importer = new LayoutImporter(task, layout, options);
  for (const { descriptor } of found.values()) await importer.copy(descriptor, 1, true);
  return publish(
    [...found.values()].map(({ descriptor, names }) => ({ descriptor, names: [...names] })),
    layout.what,
    options,
  );
}

/** The full name of an entry, if it has one. A bare tag names nothing by itself. */
function nameOf({ annotations = {} }: Descriptor): string | undefined {
  const name = annotations[IMAGE_NAME_ANNOTATION] ?? annotations[REF_NAME_ANNOTATION];
  return name !== undefined && /[:/]/.test(name) ? validName(name) : undefined;
}

/** Names in archives are hints: one that is malformed is none. */
function validName(name: string): string | undefined {
  try {
    return parseNames([name])[0];
  } catch {
    return undefined;
  }
}

class LayoutImporter {
  readonly #task: Task;
  readonly #layout: LayoutReader;
  readonly #options: ImportOptions;
  readonly #done = new Set<Digest>();

  constructor(task: Task, layout: LayoutReader, options: ImportOptions) {
    this.#task = task;
    this.#layout = layout;
    this.#options = options;
  }

  /**
   * Copies an image or index with everything that belongs to it, children first.
   * @returns false when it is not there and need not be: indexes may name images of other platforms that were left out
   */
  async copy(descriptor: Descriptor, depth: number, required: boolean): Promise<boolean> {
    if (this.#done.has(descriptor.digest)) return true;
    const { what } = this.#layout;
    if (depth > MAX_DEPTH) throw new TsbuildError('TSB_IMAGE', `Cannot import ${what}: indexes are nested too deeply`);
    const bytes = this.#document(descriptor, MAX_MANIFEST_BYTES, required);
    if (bytes === undefined) return false;
    const name = `${descriptor.digest} of ${what}`;
    if (isIndexType(documentMediaType(bytes, descriptor.mediaType, name))) {
      const { manifests } = parseIndex(bytes, descriptor.mediaType, `index ${name}`);
      let copied = 0;
      for (const child of manifests) if (await this.copy(child, depth + 1, false)) copied++;
      if (manifests.length > 0 && copied === 0) {
        throw new TsbuildError(
          'TSB_IMAGE',
          `Cannot import ${what}: none of the images of index ${descriptor.digest} is there`,
        );
      }
    } else await this.#image(bytes, descriptor, name);
    this.#options.store.blobs.put(bytes);
    this.#done.add(descriptor.digest);
    return true;
  }

  async #image(bytes: Uint8Array, descriptor: Descriptor, name: string): Promise<void> {
    const manifest = parseManifest(bytes, descriptor.mediaType, `manifest ${name}`);
    const configBytes = this.#document(manifest.config, MAX_CONFIG_BYTES, true);
    if (configBytes === undefined) return;
    const type = manifest.config.mediaType;
    if (type === mediaTypes.ociConfig || type === mediaTypes.dockerConfig) {
      const { length } = parseImageConfig(configBytes, `config of ${name}`).rootfs.diff_ids;
      if (length > 0 && length !== manifest.layers.length) {
        throw new TsbuildError(
          'TSB_IMAGE',
          `Cannot import ${name}: its config has ${length} diff ids for the ${manifest.layers.length} layers of its manifest`,
        );
      }
    }
    this.#options.store.blobs.put(configBytes);
    for (const layer of manifest.layers) await this.#layer(layer);
  }

  #document(descriptor: Descriptor, maxBytes: number, required: boolean): Buffer | undefined {
    const { digest, size } = descriptor;
    const { lease } = this.#options;
    lease.hold({ blobs: [digest] });
    let bytes: Buffer;
    try {
      bytes = this.#layout.read(digest, Math.min(size, maxBytes));
    } catch (error) {
      const absent =
        error instanceof TsbuildError && (error.code === 'TSB_NOT_FOUND' || error.message.endsWith('is missing'));
      if (!required && absent) return undefined;
      throw error;
    }
    if (bytes.length === size) return bytes;
    throw new TsbuildError(
      'TSB_DIGEST',
      `Cannot import ${this.#layout.what}: ${digest} has ${bytes.length} bytes, its descriptor says ${size}`,
    );
  }

  async #layer({ digest, size }: Descriptor): Promise<void> {
    const { store, lease } = this.#options;
    lease.hold({ blobs: [digest] });
    if (store.blobs.has(digest, size)) return;
    using writer = store.blobs.ingest();
    for (const chunk of this.#layout.stream(digest)) {
      if (writer.size + chunk.length > size) break;
      writer.write(chunk);
      await setImmediate();
      this.#task.signal.throwIfAborted();
    }
    writer.commit({ digest, size });
  }
}

interface DockerImage {
  readonly config: string;
  readonly names: readonly string[];
  readonly layers: readonly string[];
}

/** The content of a docker archive's `manifest.json`, or undefined when it is something else and that is fine. */
function dockerManifest(archive: ArchiveFile, required: boolean): DockerImage[] | undefined {
  const what = `manifest.json of ${archive.what}`;
  const guard = guardFor(what);
  try {
    const document = parseStrictJson(archive.read('manifest.json', MAX_MANIFEST_BYTES), { what });
    return guard.list(document, 'manifest.json', 1000).map((value, index): DockerImage => {
      const image = guard.object(value, `[${index}]`);
      const names = guard.stringList(image['RepoTags'], `[${index}].RepoTags`) ?? [];
      return {
        config: guard.string(image['Config'], `[${index}].Config`),
        names: names.filter((name) => name !== '<none>:<none>'),
        layers: guard.stringList(image['Layers'], `[${index}].Layers`) ?? [],
      };
    });
  } catch (error) {
    if (required || archive.has('repositories')) throw error;
    return undefined;
  }
}

async function importDocker(
  task: Task,
  archive: ArchiveFile,
  images: readonly DockerImage[],
  options: ImportOptions,
): Promise<ImportedImage[]> {
  if (images.length === 0) throw new TsbuildError('TSB_IMAGE', `Cannot import ${archive.what}: it has no images`);
  const imported: ImportedImage[] = [];
  for (const image of images) {
    const configBytes = archive.read(image.config, MAX_CONFIG_BYTES);
    const config = parseImageConfig(configBytes, `config ${JSON.stringify(image.config)} of ${archive.what}`);
    const diffIds = config.rootfs.diff_ids;
    if (diffIds.length !== image.layers.length) {
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot import ${archive.what}: the config has ${diffIds.length} diff ids for ${image.layers.length} layers`,
      );
    }
    const layers: Descriptor[] = [];
    for (const [index, name] of image.layers.entries()) {
      layers.push(await importLayer(task, archive, name, diffIds[index] ?? sha256(''), options));
    }
    imported.push({
      names: image.names.flatMap((name) => validName(name) ?? []),
      descriptor: putImage(configBytes, layers, options),
    });
  }
  return publish(imported, archive.what, options);
}

/** Stores a layer of a docker archive, which may be compressed, after comparing it with its diff id. */
async function importLayer(
  task: Task,
  archive: ArchiveFile,
  name: string,
  diffId: Digest,
  { store, lease }: ImportOptions,
): Promise<Descriptor> {
  const [head = Buffer.alloc(0)] = archive.stream(name);
  const compression = sniffCompression(head.subarray(0, SNIFF_BYTES));
  if (compression === 'bzip2' || compression === 'xz') {
    throw new TsbuildError(
      'TSB_ARCHIVE',
      `Cannot import layer ${JSON.stringify(name)} of ${archive.what}: ${compression} is not supported`,
    );
  }
  const hasher = new Hasher();
  using writer = store.blobs.ingest();
  const raw = function* (): Generator<Uint8Array> {
    for (const chunk of archive.stream(name)) {
      writer.write(chunk);
      // The decompressor may look at it later.
      yield Buffer.from(chunk);
    }
  };
  for await (const chunk of decompress(raw(), compression)) {
    hasher.update(chunk);
    await setImmediate();
    task.signal.throwIfAborted();
  }
  if (hasher.digest() !== diffId) {
    throw new TsbuildError(
      'TSB_DIGEST',
      `Cannot import layer ${JSON.stringify(name)} of ${archive.what}: its content has digest ${hasher.digest()}, the config says ${diffId}`,
    );
  }
  const { digest, size } = writer.commit();
  lease.hold({ blobs: [digest] });
  return { mediaType: OCI_LAYERS[compression], digest, size };
}

async function importRootfs(task: Task, archive: ArchiveFile, options: ImportOptions): Promise<ImportedImage[]> {
  const { store, lease, platform } = options;
  using writer = store.blobs.ingest();
  for await (const chunk of createReadStream(archive.path, { highWaterMark: 1 << 20 })) {
    task.signal.throwIfAborted();
    writer.write(chunk as Buffer);
  }
  const { digest, size } = writer.commit();
  lease.hold({ blobs: [digest] });
  const created = goTime(store.now());
  const config = {
    architecture: platform.architecture,
    config: {},
    created,
    history: [{ created, comment: 'Imported from a root file system archive' }],
    os: platform.os,
    rootfs: { type: 'layers', diff_ids: [await archive.diffId(task)] },
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
  const layer = { mediaType: OCI_LAYERS[archive.compression], digest, size };
  const descriptor = putImage(Buffer.from(goJson(config)), [layer], options);
  return publish([{ names: [], descriptor }], archive.what, options);
}

/** Stores a config and a manifest for it. */
function putImage(config: Uint8Array, layers: readonly Descriptor[], { store, lease }: ImportOptions): Descriptor {
  const { digest, size } = store.blobs.put(config);
  const manifest = goJsonIndented({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest, size },
    layers,
  });
  const stored = store.blobs.put(manifest);
  lease.hold({ blobs: [digest, stored.digest] });
  return { mediaType: mediaTypes.ociManifest, digest: stored.digest, size: stored.size };
}

/** Gives the images their names, once all of them are in place. */
function publish(images: readonly ImportedImage[], what: string, { names, store }: ImportOptions): ImportedImage[] {
  if (names !== undefined && names.length > 0 && images.length > 1) {
    throw new TsbuildError('TSB_USAGE', `Cannot name the image of ${what}: it has ${images.length} images`);
  }
  return images.map((image) => {
    const own = names !== undefined && names.length > 0 ? parseNames(names) : image.names;
    for (const name of own) store.images.put(name, image.descriptor);
    return { names: own, descriptor: image.descriptor };
  });
}
