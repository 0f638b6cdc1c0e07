import { imageLayerIds } from '../store/index.ts';
import type { ResolvedImage } from './image-types.ts';

/** The ids that the layers of an image have in the store, bottom first. */
export function layerIdsOf({ config, layers }: Pick<ResolvedImage, 'config' | 'layers'>): readonly string[] {
  return imageLayerIds(
    config.os,
    layers.map(({ diffId }) => diffId),
  );
}
