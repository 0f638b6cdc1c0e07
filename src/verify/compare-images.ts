import type { ImageConfig, Manifest } from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { Difference } from './difference.ts';
import { splitInlineCache } from './inline-cache.ts';
import { jsonDifferences } from './json-differences.ts';
import { layerDifferences } from './layer-differences.ts';

/** One of two images, for one platform, with its layers as files of this machine. */
export interface ComparedImage {
  readonly manifestDigest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
  /** The file of a layer's blob. */
  file(digest: Digest): string;
}

/** What came of comparing an image with the same built again. */
export interface Comparison {
  readonly platform: string;
  /** Of the manifests. */
  readonly image: Digest;
  readonly rebuilt: Digest;
  readonly identical: boolean;
  /** Empty when they are identical, and only then. */
  readonly differences: readonly Difference[];
}

/**
 * Compares manifest, config and layers. Equal digests are equal bytes, so that nothing is read then.
 * @param temporary an existing directory for files that are compared
 * @throws TsbuildError `TSB_ARCHIVE`, `TSB_STORE`
 */
export async function compareImages(
  platform: string,
  image: ComparedImage,
  rebuilt: ComparedImage,
  temporary: string,
  signal: AbortSignal,
): Promise<Comparison> {
  const digests = { platform, image: image.manifestDigest, rebuilt: rebuilt.manifestDigest };
  if (image.manifestDigest === rebuilt.manifestDigest) return { ...digests, identical: true, differences: [] };
  const [ours, theirs] = [configOf(image), configOf(rebuilt)];
  const differences: Difference[] = [
    ...jsonDifferences(frameOf(image.manifest), frameOf(rebuilt.manifest)).map((one): Difference => ({
      kind: 'manifest',
      ...one,
    })),
    ...jsonDifferences(ours.config, theirs.config).map((one): Difference => ({ kind: 'config', ...one })),
    ...jsonDifferences(ours.cache, theirs.cache).map((one): Difference => ({ kind: 'cache', ...one })),
    ...(await allLayers(image, rebuilt, temporary, signal)),
  ];
  if (differences.length === 0)
    differences.push({ kind: 'manifest', path: '', image: image.manifestDigest, rebuilt: rebuilt.manifestDigest });
  return { ...digests, identical: false, differences };
}

async function allLayers(
  image: ComparedImage,
  rebuilt: ComparedImage,
  temporary: string,
  signal: AbortSignal,
): Promise<readonly Difference[]> {
  const [ours, theirs] = [image.manifest.layers, rebuilt.manifest.layers];
  const names = [creatorsOf(image.config), creatorsOf(rebuilt.config)] as const;
  const found: Difference[] = [];
  for (let at = 0; at < Math.max(ours.length, theirs.length); at++) {
    const [a, b] = [ours[at], theirs[at]];
    const createdBy = names[0][at] ?? names[1][at];
    const where = { layer: at + 1, ...(createdBy === undefined ? {} : { createdBy }) };
    if (a && b)
      found.push(
        ...(await layerDifferences(
          {
            ...where,
            image: { digest: a.digest, file: image.file(a.digest) },
            rebuilt: { digest: b.digest, file: rebuilt.file(b.digest) },
          },
          temporary,
          signal,
        )),
      );
    else if (a) found.push({ kind: 'layer', ...where, what: 'absent', image: a.digest });
    else if (b) found.push({ kind: 'layer', ...where, what: 'added', rebuilt: b.digest });
  }
  return found;
}

/** The manifest without what config and layers themselves explain. */
function frameOf({ config, layers, ...rest }: Manifest): unknown {
  return {
    ...rest,
    config: { mediaType: config.mediaType, annotations: config.annotations },
    layers: layers.map(({ mediaType, annotations }) => ({ mediaType, annotations })),
  };
}

/** The config without the diff ids, which the layers explain, and the cache in it. */
function configOf({ configBytes }: ComparedImage): ReturnType<typeof splitInlineCache> {
  const { rootfs: _layers, ...rest } = JSON.parse(Buffer.from(configBytes).toString('utf8')) as Record<string, unknown>;
  return splitInlineCache(rest);
}

/** The instruction of each layer. */
function creatorsOf({ history }: ImageConfig): readonly (string | undefined)[] {
  return (history ?? []).filter(({ empty_layer: empty }) => empty !== true).map(({ created_by: by }) => by);
}
