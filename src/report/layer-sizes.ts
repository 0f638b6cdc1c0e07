import { compressionOf, type Descriptor } from '../image/index.ts';
import { type LayerReport, reportLayers } from '../inspect/index.ts';
import type { Task } from '../events/index.ts';
import { blobContent, type Store } from '../store/index.ts';
import { isDigest } from '../util/index.ts';
import type { SizedPath } from './facts.ts';
import type { RecordedLayer } from './record.ts';

/** Bytes of a compressed layer that is not looked into: it would take longer than somebody waits for a report. */
const MAX_LAYER = 1 << 30;

/** What layers hold. */
export interface LayerContents {
  /** By digest of the blob. */
  readonly layers: ReadonlyMap<
    string,
    Pick<LayerReport, 'contentSize' | 'files' | 'largestDirectories' | 'largestFiles'>
  >;
  /** Of all together, the largest first. */
  readonly directories: readonly SizedPath[];
}

/** What is remembered where nobody has looked into the layers. */
export const nothingLookedInto: LayerContents = { layers: new Map(), directories: [] };

/**
 * The layers of a build as they are to be remembered. It costs a look into the index each, none into the layers.
 * @param results ids of layers per platform, bottom first
 */
export function recordedLayers(
  store: Store,
  results: readonly (readonly string[])[],
  platforms: readonly string[],
): readonly RecordedLayer[] {
  return results.flatMap((ids, index) =>
    ids.flatMap((id): RecordedLayer[] => {
      const layer = store.layers.get(id);
      if (layer === undefined) return [];
      const { type, description, blobs, bytes, fs } = layer;
      const platform = results.length > 1 ? platforms[index] : undefined;
      const descriptor =
        blobs.find((blob) => store.blobs.has(blob.descriptor.digest))?.descriptor ?? blobs[0]?.descriptor;
      return [
        {
          ...(platform === undefined ? {} : { platform }),
          description,
          isForeign: type === 'source.image',
          ...(descriptor === undefined
            ? {}
            : { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size }),
          ...(descriptor === undefined && fs ? { bytes } : {}),
        },
      ];
    }),
  );
}

/**
 * Reads the layers that the store has as blobs. Nothing is said of any when one is damaged: a report is no place to find that out.
 */
export async function lookIntoLayers(
  store: Store,
  task: Task,
  layers: readonly RecordedLayer[],
): Promise<LayerContents> {
  const wanted = new Map<string, Descriptor>();
  for (const { digest, size, mediaType } of layers)
    if (digest !== undefined && isDigest(digest) && size !== undefined && size <= MAX_LAYER && mediaType !== undefined)
      if (compressionOf(mediaType) !== undefined && store.blobs.has(digest, size))
        wanted.set(digest, { digest, size, mediaType });
  if (wanted.size === 0) return nothingLookedInto;
  try {
    const image = { manifest: { layers: [...wanted.values()] }, config: { history: [] } };
    const found = await reportLayers(task, blobContent(store.blobs), image);
    return {
      layers: new Map(found.layers.map((layer) => [layer.digest, layer])),
      directories: found.largestDirectories,
    };
  } catch (error) {
    if (task.signal.aborted) throw error;
    return nothingLookedInto;
  }
}
