import { createReadStream } from 'node:fs';
import { LayerEncoder } from '../layer/index.ts';
import {
  checkLayoutVersion,
  type LayoutReader,
  MAX_MANIFEST_BYTES,
  ociLayerTypes,
  openOciLayout,
  parseLayoutIndex,
  refuseSize,
} from '../image/index.ts';
import { type Digest, hexOf, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { ArchiveFile, type ArchiveSource } from './archive-file.ts';
import { goJson, goTime } from './go-json.ts';
import { type ImportedImage, type ImportOptions, publish, putImage } from './import-common.ts';
import { dockerManifest, importDocker } from './import-docker.ts';
import { importLayout } from './import-layout.ts';

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

/** The OCI layout in an archive. */
export function layoutOf(archive: ArchiveFile): LayoutReader {
  const path = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;
  checkLayoutVersion(archive.read('oci-layout', 64 * 1024), archive.what);
  return {
    what: archive.what,
    index: parseLayoutIndex(archive.read('index.json', MAX_MANIFEST_BYTES), archive.what),
    size: (digest) => archive.size(path(digest)),
    read({ digest, size }) {
      const actual = archive.size(path(digest));
      if (actual === undefined) return undefined;
      refuseSize(digest, size, actual, archive.what);
      return archive.read(path(digest), actual);
    },
    stream: ({ digest }) => archive.stream(path(digest)),
  };
}

async function importRootfs(task: Task, archive: ArchiveFile, options: ImportOptions): Promise<ImportedImage[]> {
  const { store, lease, platform } = options;
  using writer = store.blobs.ingest();
  // Images are stored and exported compressed; only an archive that comes so is taken as it is.
  const encoder = archive.compression === 'none' ? new LayerEncoder(writer, { kind: 'gzip' }) : undefined;
  for await (const chunk of createReadStream(archive.path, { highWaterMark: 1 << 20 })) {
    task.signal.throwIfAborted();
    if (!encoder) writer.write(chunk as Buffer);
    else {
      encoder.write(chunk as Buffer);
      if (encoder.congested) await encoder.ready();
    }
  }
  const { digest, size, diffId } = encoder
    ? await encoder.finish()
    : { ...writer.commit(), diffId: await archive.diffId(task) };
  lease.hold({ blobs: [digest] });
  const created = goTime(options.epoch === undefined ? store.now() : options.epoch * 1000);
  const config = {
    architecture: platform.architecture,
    config: {},
    created,
    history: [{ created, comment: 'Imported from a root file system archive' }],
    os: platform.os,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
  const layer = { mediaType: encoder ? ociLayerTypes.gzip : ociLayerTypes[archive.compression], digest, size };
  const descriptor = putImage(Buffer.from(goJson(config)), [layer], options);
  return publish([{ names: [], descriptor }], archive.what, options);
}
