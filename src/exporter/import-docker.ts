import { setImmediate } from 'node:timers/promises';
import { decompress, LayerEncoder } from '../layer/index.ts';
import {
  type Compression,
  type Descriptor,
  guardFor,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  ociLayerTypes,
  parseImageConfig,
} from '../image/index.ts';
import {
  type Digest,
  Hasher,
  parseStrictJson,
  sanitizeLine,
  sha256,
  TsbuildError,
  SNIFF_BYTES,
  sniffCompression,
} from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { ArchiveFile } from './archive-file.ts';
import { type ImportedImage, type ImportOptions, publish, putImage, validName } from './import-common.ts';

/** One entry of a docker archive's `manifest.json`. */
export interface DockerImage {
  readonly config: string;
  readonly names: readonly string[];
  readonly layers: readonly string[];
}

/** The content of a docker archive's `manifest.json`, or undefined when it is something else and that is fine. */
export function dockerManifest(archive: ArchiveFile, required: boolean): DockerImage[] | undefined {
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

/** Imports the images of a docker archive; its layers are compared with the diff ids of their config. */
export async function importDocker(
  task: Task,
  archive: ArchiveFile,
  images: readonly DockerImage[],
  options: ImportOptions,
): Promise<ImportedImage[]> {
  if (images.length === 0) throw new TsbuildError('TSB_IMAGE', `Cannot import ${archive.what}: it has no images`);
  const imported: ImportedImage[] = [];
  // Images that are saved together mostly have the same base: by where it is in the archive and what it should be.
  const stored = new Map<string, Descriptor>();
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
      const diffId = diffIds[index] ?? sha256('');
      const key = `${archive.place(name).offset} ${diffId}`;
      const layer = stored.get(key) ?? (await importLayer(task, archive, name, diffId, options));
      stored.set(key, layer);
      layers.push(layer);
    }
    imported.push({
      names: image.names.flatMap((name) => validName(name) ?? []),
      descriptor: putImage(configBytes, layers, options),
    });
  }
  return publish(imported, archive.what, options);
}

/** @throws TsbuildError `TSB_ARCHIVE` for what layers are not compressed with */
function sniffedLayer(archive: ArchiveFile, name: string): Compression {
  const [head = Buffer.alloc(0)] = archive.stream(name);
  const compression = sniffCompression(head.subarray(0, SNIFF_BYTES));
  if (compression !== 'bzip2' && compression !== 'xz') return compression;
  throw new TsbuildError(
    'TSB_ARCHIVE',
    `Cannot import layer ${JSON.stringify(name)} of ${archive.what}: ${compression} is not supported`,
  );
}

/** Stores a layer of a docker archive, which may be compressed, after comparing it with its diff id. */
async function importLayer(
  task: Task,
  archive: ArchiveFile,
  name: string,
  diffId: Digest,
  { store, lease, compress }: ImportOptions,
): Promise<Descriptor> {
  const compression = sniffedLayer(archive, name);
  const hasher = new Hasher();
  // What it is stored as is known before it is read only of one that stays as it is. One that was damaged in the store heals.
  const asIs = compression === 'none' && !compress ? archive.place(name).size : undefined;
  if (asIs !== undefined) lease.hold({ blobs: [diffId] });
  const isThere = asIs !== undefined && store.blobs.has(diffId, asIs) && store.blobs.verify(diffId);
  using writer = isThere ? undefined : store.blobs.ingest();
  const encoder = writer && compress && compression === 'none' ? new LayerEncoder(writer, { kind: 'gzip' }) : undefined;
  const raw = function* (): Generator<Uint8Array> {
    for (const chunk of archive.stream(name)) {
      if (encoder === undefined) writer?.write(chunk);
      // The decompressor may look at it later.
      yield Buffer.from(chunk);
    }
  };
  for await (const chunk of decompress(raw(), compression)) {
    hasher.update(chunk);
    encoder?.write(chunk);
    if (encoder?.congested) await encoder.ready();
    await setImmediate();
    task.signal.throwIfAborted();
  }
  const found = hasher.digest();
  if (found !== diffId) {
    throw new TsbuildError(
      'TSB_DIGEST',
      `Cannot import layer ${JSON.stringify(name)} of ${archive.what}: its content has digest ${found}, the config says ${diffId}`,
    );
  }
  if (writer === undefined) return { mediaType: ociLayerTypes.none, digest: diffId, size: asIs ?? 0 };
  const { digest, size } = encoder === undefined ? writer.commit() : await encoder.finish();
  lease.hold({ blobs: [digest] });
  return { mediaType: ociLayerTypes[encoder === undefined ? compression : 'gzip'], digest, size };
}

/**
 * Imports one image of a docker archive under a name of the caller's.
 * @param wanted the name that it has in the archive, normalised; without one there must be only one image
 * @throws TsbuildError `TSB_NOT_FOUND`, and as `importArchive`
 */
export async function importFromDocker(
  task: Task,
  archive: ArchiveFile,
  wanted: string | undefined,
  options: ImportOptions,
): Promise<ImportedImage> {
  const images = dockerManifest(archive, true) ?? [];
  const named = (image: DockerImage): boolean => image.names.some((name) => validName(name) === wanted);
  const found = wanted === undefined ? images : images.filter(named);
  // One without any image is told by who looks for them.
  const isClear = images.length === 0 || (wanted === undefined ? found.length === 1 : found.length > 0);
  const [image] = isClear ? await importDocker(task, archive, found.slice(0, 1), options) : [];
  if (image !== undefined) return image;
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    wanted === undefined
      ? `Cannot choose an image of ${archive.what}: it has ${images.length}`
      : `Cannot find ${JSON.stringify(wanted)} in ${archive.what}`,
    { hint: hintOf(images.flatMap(({ names }) => names)) },
  );
}

function hintOf(names: readonly string[]): string {
  if (names.length === 0)
    return 'none of them has a name, by which one could be chosen: "tsbuild load" takes all of them';
  const shown = names.slice(0, 10).map((name) => JSON.stringify(sanitizeLine(name, 200)));
  return `it has ${shown.join(', ')}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ''}`;
}
