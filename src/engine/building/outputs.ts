import {
  type AssembledImage,
  assembleImage,
  type Exported,
  type ExportLayer,
  exportResult,
  type ImageFile,
  type ImageOutput,
  type OutputSpec,
  type PlatformImage,
  type StdoutStream,
} from '../../exporter/index.ts';
import type { Explanation } from '../../explain/index.ts';
import { type Descriptor, INLINE_CACHE_KEY, type LayerCompression } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import type { CompiledGraphs, PlatformGraph } from '../compiled.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { compressorName } from '../../layer/index.ts';
import type { BuildPlan } from './build-plan.ts';
import type { InlineCache } from '../caches/inline-cache.ts';
import type { Pushes } from './pushes.ts';
import type { PushedTo } from '../../recall/index.ts';
import type { PackedLayer } from '../../snapshots/index.ts';
import type { Digest } from '../../util/index.ts';
import type { Session } from '../session.ts';

/** Where results go, with the standard output for `-`. */
export interface OutputRequest {
  readonly specs: readonly OutputSpec[];
  readonly stdout: StdoutStream;
  /** Seconds since the epoch for the times of the image; the build's own when absent. */
  readonly epoch?: number;
  /** Seconds since the epoch after which times in the layers of a platform are those of the build; default: after `epoch`. */
  readonly buildsAfter?: (platform: PlatformGraph) => number;
  /** Told of every image that was written to a file or directory, before its vertex is done. */
  readonly onImageWritten?: (file: ImageFile, image: AssembledImage) => void;
  /**
   * Wraps the push of an image, and may remember it. Absent: it is pushed.
   * @param isHere whether the store has all layers, so that it could be pushed again from there
   */
  readonly onPush?: (to: PushedTo, image: AssembledImage, isHere: boolean, push: () => Promise<void>) => Promise<void>;
  /** Told at the end why steps ran, also of a build that failed; only where the request asks for it. */
  readonly onExplained?: (explanation: Explanation) => void;
  /** Told what is going to be built, before anything is solved. */
  readonly onCompiled?: (plan: BuildPlan) => void;
  /** Told once the results are out, before caches are exported. */
  readonly onExported?: (built: ExportedBuild) => void | Promise<void>;
}

/** What the outputs of a build came to. */
export interface ExportedBuild {
  /** Of the first output with an image. */
  readonly descriptor?: Descriptor;
  /** BuildKit's response keys. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Whether what is written is an image. */
export function isImageOutput(spec: OutputSpec): spec is OutputSpec & ImageOutput {
  return spec.type === 'image' || spec.type === 'oci' || spec.type === 'docker';
}

/** The one form in which all outputs want layers, or undefined when they want files or differ. */
export function packedForm(output: OutputRequest): LayerCompression | undefined {
  const images = output.specs.filter(isImageOutput);
  const [first] = images;
  if (!first || images.length !== output.specs.length) return undefined;
  const { kind, level } = first.compression;
  const same = images.every(
    (spec) => spec.compression.kind === kind && spec.compression.level === level && !spec.rewriteTimestamp,
  );
  return same ? { kind, ...(level === undefined ? {} : { level }) } : undefined;
}

/**
 * Writes the results of a build to its outputs.
 * @param results layer ids per platform, bottom first
 */
export async function exportBuild(
  session: Session,
  task: Task,
  compiled: CompiledGraphs,
  results: readonly (readonly string[])[],
  {
    output,
    pushes,
    inline,
  }: { readonly output: OutputRequest; readonly pushes: Pushes; readonly inline?: InlineCache },
): Promise<ExportedBuild> {
  const epoch = output.epoch ?? compiled.platforms[0]?.epoch;
  const outcomes: Exported[] = [];
  for (const spec of output.specs) {
    outcomes.push(
      await withInternalVertex(task, session.now, vertexName(spec), async (vertex, status, shown) => {
        for (const message of spec.type === 'image' ? spec.notices : [])
          task.events({
            type: 'diagnostic',
            vertex,
            diagnostic: { code: 'Output', severity: 'warning', message, ranges: [] },
            at: session.now(),
          });
        const image = isImageOutput(spec)
          ? await assemble(session, task, compiled, results, { spec, epoch, buildsAfter: output.buildsAfter, inline })
          : undefined;
        if (image) status(`exporting manifest ${image.root.digest}`, image.root.size, undefined, true);
        const exported = await exportResult(
          task,
          spec,
          {
            platforms: compiled.platforms.map(({ platform }) => platform),
            multiPlatform: compiled.multiPlatform,
            ...(image === undefined ? {} : { image }),
            ...(epoch === undefined ? {} : { epoch }),
          },
          {
            store: session.store,
            lease: session.lease,
            stdout: output.stdout,
            push: async (_, names, pushed) => {
              const push = (): Promise<void> => pushes.push(shown, names, pushed, layerIds(results, pushed), status);
              const insecure = spec.type === 'image' && spec.push?.insecure === true;
              const to: PushedTo = { type: 'registry', names, insecure, vertex };
              await (output.onPush?.(to, pushed, hasLayers(session, pushed), push) ?? push());
            },
            writeTar: async (inner, path, trees, time) => {
              const roots = await treeRoots(session, inner, results, trees);
              await (
                await session.worker()
              ).call(
                'writeTreeTar',
                { path, trees: roots, ...(time === undefined ? {} : { epoch: time }) },
                { signal: inner.signal },
              );
            },
            writeDirectory: async (inner, path, trees, options) => {
              const roots = await treeRoots(session, inner, results, trees);
              await (
                await session.worker()
              ).call('writeTreeDirectory', { path, trees: roots, ...options }, { signal: inner.signal });
            },
          },
        );
        if (image) {
          if (spec.type === 'image' && spec.store)
            witnessImage(session, image, exported.metadata['image.name']?.split(',') ?? []);
          else witnessLayers(session, image);
        }
        if (image && (spec.type === 'oci' || spec.type === 'docker')) output.onImageWritten?.(spec, image);
        // An upgrade that changes bytes is to be found by looking, not by comparing blobs.
        return isImageOutput(spec)
          ? {
              ...exported,
              metadata: { ...exported.metadata, 'tsbuild.compressor': compressorName(spec.compression) },
            }
          : exported;
      }),
    );
  }
  // Files of a result are copied by the worker, whose start takes longer than what remembering the build would save.
  if (output.specs.some(({ type }) => type === 'local' || type === 'tar')) session.witness.refuse();
  const first = outcomes.find(({ descriptor }) => descriptor !== undefined);
  return {
    ...(first?.descriptor === undefined ? {} : { descriptor: first.descriptor }),
    metadata: Object.assign({}, ...outcomes.map(({ metadata }) => metadata).toReversed()) as Record<string, string>,
  };
}

/** The layers of the results by the digests that they have in an image. */
function layerIds(results: readonly (readonly string[])[], { platforms }: AssembledImage): ReadonlyMap<Digest, string> {
  return new Map(
    platforms.flatMap(({ layers }, index) =>
      layers.map(({ digest }, at): [Digest, string] => [digest, results[index]?.[at] ?? '']),
    ),
  );
}

/** Whether all layers of an image are in the store. */
function hasLayers({ store }: Session, { platforms }: AssembledImage): boolean {
  return platforms.flatMap(({ layers }) => layers).every(({ digest, size }) => store.blobs.has(digest, size));
}

/** The layers of an image, which are in the store whatever the output is, unless only a registry wanted it. */
function witnessLayers(session: Session, image: AssembledImage): void {
  const { store, witness } = session;
  if (!hasLayers(session, image)) witness.refuse();
  for (const { digest, size } of image.platforms.flatMap(({ layers }) => layers))
    witness.size(store.blobs.path(digest), size);
}

/** The image in the store and its names there, as the result stands on them. */
function witnessImage(session: Session, image: AssembledImage, names: readonly string[]): void {
  const { store, witness } = session;
  witnessLayers(session, image);
  for (const { descriptor } of image.documents) witness.size(store.blobs.path(descriptor.digest), descriptor.size);
  for (const name of names) {
    const file = store.images.file(name);
    if (file?.image.descriptor.digest === image.root.digest) witness.text(file.path, file.text);
    else witness.refuse();
  }
}

/** A tree for the worker: layer directories and where in the output it goes. */
export interface TreeRoot {
  readonly layers: readonly string[];
  readonly prefix?: string;
  readonly label: string;
}

async function treeRoots(
  session: Session,
  task: Task,
  results: readonly (readonly string[])[],
  trees: readonly { readonly index: number; readonly prefix?: string; readonly label: string }[],
): Promise<readonly TreeRoot[]> {
  return Promise.all(
    trees.map(async ({ index, prefix, label }) => ({
      layers: await session.layers.directories(task, results[index] ?? []),
      label,
      ...(prefix === undefined ? {} : { prefix }),
    })),
  );
}

function vertexName(spec: OutputSpec): string {
  switch (spec.type) {
    case 'image':
      return 'exporting to image';
    case 'oci':
      return 'exporting to oci image format';
    case 'docker':
      return 'exporting to docker image format';
    case 'local':
      return 'exporting to client directory';
    case 'tar':
      return 'exporting to client tarball';
    case 'cacheonly':
      return 'keeping results in the cache';
  }
}

async function assemble(
  session: Session,
  task: Task,
  compiled: CompiledGraphs,
  results: readonly (readonly string[])[],
  {
    spec,
    epoch: buildEpoch,
    buildsAfter,
    inline,
  }: {
    readonly spec: OutputSpec & ImageOutput;
    readonly epoch: number | undefined;
    readonly buildsAfter: OutputRequest['buildsAfter'];
    readonly inline: InlineCache | undefined;
  },
): Promise<AssembledImage> {
  const epoch = spec.epoch ?? buildEpoch;
  const clamp = spec.rewriteTimestamp ? epoch : undefined;
  // What only goes to registries need not be here: one that has a layer of the base image is not sent it.
  const isElsewhere = spec.type === 'image' && !spec.store;
  const images = await Promise.all(
    compiled.platforms.map(async (platform, index): Promise<PlatformImage> => {
      const ids = results[index] ?? [];
      const form = {
        ...spec.compression,
        ...(clamp === undefined ? {} : { clampTime: clamp }),
        ...(clamp === undefined || buildsAfter === undefined ? {} : { clampAfter: buildsAfter(platform) }),
        windows: session.layers.isWindows(ids),
      };
      const packed = await Promise.all(
        ids.map((id) => (isElsewhere ? session.layers.describe(task, id, form) : session.layers.pack(task, id, form))),
      );
      const cache = await inline?.of(task, platform, ids, packed);
      return platformImage(platform, ids, packed, cache);
    }),
  );
  return assembleImage(images, {
    ociMediaTypes: spec.ociMediaTypes,
    forceIndex: compiled.multiPlatform,
    ...(epoch === undefined ? {} : { epoch }),
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
  });
}

function platformImage(
  { platform, config, baseConfig }: PlatformGraph,
  ids: readonly string[],
  packed: readonly PackedLayer[],
  cache: string | undefined,
): PlatformImage {
  const layers = ids.map((_, index): ExportLayer => {
    const layer = packed[index] as PackedLayer;
    const { descriptor, diffId, description } = layer;
    return layer.fromImage ? { descriptor, diffId } : { descriptor, diffId, description, createdAt: layer.createdAt };
  });
  const whole = cache === undefined ? config : { ...config, [INLINE_CACHE_KEY]: cache };
  return { platform, config: whole, layers, ...(baseConfig === undefined ? {} : { baseHistory: baseConfig.history }) };
}
