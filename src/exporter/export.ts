import { createReadStream } from 'node:fs';
import type { Lease, Store } from '../store/index.ts';
import { type Descriptor, formatPlatform, type Platform } from '../image/index.ts';
import { fromErrno, makeDirectories, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { Progress } from './archive.ts';
import type { OutputSpec } from './output.ts';
import { rootOf } from './layout.ts';
import { openSink, type StdoutStream } from './sink.ts';
import type { AssembledImage } from './types.ts';
import { writeImage } from './write-image.ts';

/** A root file system that goes to a directory or tar; `index` is that of the platform in the result. */
export interface TreeRequest {
  readonly index: number;
  readonly prefix?: string;
  readonly label: string;
}

/** What an exporter needs of the rest of the program. */
export interface ExportContext {
  readonly store: Store;
  readonly lease: Lease;
  readonly stdout: StdoutStream;
  /** Writes trees as tar to a file that exists; runs in the worker (`writeRootfsTar`). */
  readonly writeTar: (
    task: Task,
    path: string,
    trees: readonly TreeRequest[],
    epoch: number | undefined,
  ) => Promise<void>;
  /** Copies trees into a directory that exists; runs in the worker (`writeRootfsDirectory`). */
  readonly writeDirectory: (
    task: Task,
    path: string,
    trees: readonly TreeRequest[],
    options: { readonly mode: 'copy' | 'delete'; readonly epoch?: number },
  ) => Promise<void>;
  /** Pushes an image to the registries of its names. */
  readonly push: (task: Task, names: readonly string[], image: AssembledImage) => Promise<void>;
  readonly onProgress?: Progress;
}

/** What is exported. */
export interface ExportResult {
  /** In the order of the result. */
  readonly platforms: readonly Platform[];
  /** For outputs with an image; made by `assembleImage` with the output's options, its layers in the store. */
  readonly image?: AssembledImage;
  /** Seconds since the epoch, where the output has none of its own. */
  readonly epoch?: number;
  /** Whether several platforms were asked for, so that `platform-split` defaults to true. */
  readonly multiPlatform: boolean;
}

/** What came of it, for `--metadata-file` and the screen. */
export interface Exported {
  readonly descriptor?: Descriptor;
  /** BuildKit's response keys, e.g. `containerimage.digest`, `image.name`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes a result to one output. Outputs whose file or directory exists keep it when anything fails.
 * @throws TsbuildError `TSB_EXPORT`, `TSB_USAGE`, `TSB_DIGEST`, `TSB_NO_SPACE`, `TSB_PERMISSION`
 */
export async function exportResult(
  task: Task,
  spec: OutputSpec,
  result: ExportResult,
  context: ExportContext,
): Promise<Exported> {
  switch (spec.type) {
    case 'cacheonly':
      return { metadata: {} };
    case 'image': {
      const image = imageOf(result);
      const names = [...spec.names];
      if (spec.nameCanonical) names.push(...spec.names.map((name) => canonicalName(name, image)));
      if (spec.danglingPrefix !== undefined) names.push(canonicalName(spec.danglingPrefix, image));
      // Of a name without a tag the local store has the image by its digest only.
      const own = spec.push?.byDigest ? spec.names.map((name) => canonicalName(name, image)) : [];
      if (spec.store)
        storeImage(image, spec.push?.byDigest ? [...own, ...names.slice(spec.names.length)] : names, context);
      if (spec.push !== undefined) await context.push(task, spec.names, image);
      return exported(image, names);
    }
    case 'oci':
    case 'docker': {
      const image = imageOf(result);
      const { onProgress } = context;
      await writeImage(task, spec, image, {
        blobs: context.store.blobs,
        stdout: context.stdout,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      return exported(image, spec.names);
    }
    case 'local':
      await writeLocal(task, spec, result, context);
      return { metadata: {} };
    case 'tar':
      await writeRootfs(task, spec, result, context);
      return { metadata: {} };
  }
}

/**
 * Puts an image into the local image store under names, the blobs before the names.
 * @throws TsbuildError `TSB_EXPORT` when a layer is not in the store
 */
export function storeImage(
  image: AssembledImage,
  names: readonly string[],
  { store, lease }: { readonly store: Store; readonly lease: Lease },
): void {
  const layers = image.platforms.flatMap((platform) => platform.layers);
  lease.hold({
    blobs: [...layers, ...image.documents.map(({ descriptor }) => descriptor)].map(({ digest }) => digest),
  });
  for (const { digest, size } of layers) {
    if (!store.blobs.has(digest, size)) {
      throw new TsbuildError('TSB_EXPORT', `Cannot store the image: layer ${digest} is not in the store`);
    }
  }
  for (const { bytes } of image.documents) store.blobs.put(bytes);
  const { mediaType, digest, size } = image.root;
  for (const name of names) store.images.put(name, { mediaType, digest, size });
}

async function writeLocal(
  task: Task,
  spec: OutputSpec & { readonly type: 'local' },
  result: ExportResult,
  context: ExportContext,
): Promise<void> {
  try {
    makeDirectories(spec.dest);
  } catch (error) {
    throw fromErrno(error, `Cannot make directory ${JSON.stringify(spec.dest)}`, 'TSB_EXPORT');
  }
  const epoch = spec.epoch ?? result.epoch;
  const trees = treesOf(result, spec.platformSplit);
  await context.writeDirectory(task, spec.dest, trees, { mode: spec.mode, ...(epoch === undefined ? {} : { epoch }) });
}

async function writeRootfs(
  task: Task,
  spec: OutputSpec & { readonly type: 'tar' },
  result: ExportResult,
  context: ExportContext,
): Promise<void> {
  const trees = treesOf(result, spec.platformSplit);
  await using sink = openSink(spec.dest, context.stdout, 'tar');
  // The worker cannot reach our standard output, and must not replace a file half way.
  using temporary = context.store.blobs.ingest();
  await context.writeTar(task, temporary.path, trees, spec.epoch ?? result.epoch);
  for await (const chunk of createReadStream(temporary.path, { highWaterMark: 1 << 20 })) {
    task.signal.throwIfAborted();
    await sink.write(chunk as Buffer);
  }
  await sink.commit();
}

/** One tree per platform, each in a directory of its own where they are split. */
function treesOf({ platforms, multiPlatform }: ExportResult, platformSplit: boolean | undefined): TreeRequest[] {
  const split = platformSplit ?? multiPlatform;
  return platforms.map((platform, index) => ({
    index,
    label: formatPlatform(platform),
    ...(split ? { prefix: platformDirectory(platform) } : {}),
  }));
}

/** Directory name of a platform: `linux_arm_v7`. Never more than one harmless name. */
export function platformDirectory(platform: Platform): string {
  return formatPlatform(platform)
    .replaceAll('/', '_')
    .replaceAll(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '_');
}

function imageOf({ image }: ExportResult): AssembledImage {
  if (image !== undefined) return image;
  throw new TsbuildError('TSB_INTERNAL', 'Cannot export an image that was not assembled');
}

/** `name@digest` without tag. */
function canonicalName(name: string, image: AssembledImage): string {
  const colon = name.lastIndexOf(':');
  return `${colon > name.lastIndexOf('/') ? name.slice(0, colon) : name}@${image.root.digest}`;
}

function exported(image: AssembledImage, names: readonly string[]): Exported {
  const { root } = image;
  const [platform, ...others] = image.platforms;
  const config: Record<string, string> =
    platform !== undefined && others.length === 0 ? { 'containerimage.config.digest': platform.config.digest } : {};
  return {
    descriptor: root,
    metadata: {
      ...config,
      'containerimage.descriptor': Buffer.from(JSON.stringify(rootOf(image))).toString('base64'),
      'containerimage.digest': root.digest,
      ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
    },
  };
}
