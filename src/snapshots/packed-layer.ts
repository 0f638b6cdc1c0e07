import type { Layer, Store } from '../store/index.ts';
import { type Compression, type Descriptor, type LayerCompression, mediaTypes } from '../image/index.ts';
import type { Digest } from '../util/index.ts';

/** A layer as a blob. */
export interface PackedLayer {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** What made it. */
  readonly description: string;
  /** It came with an image. */
  readonly fromImage: boolean;
}

/** In which form a layer is wanted. */
export interface PackForm extends LayerCompression {
  /** Layers of base images in this form too, instead of as they came. */
  readonly force?: boolean;
  /** Seconds since the epoch that later times in the layer become; layers of base images stay as they are. */
  readonly clampTime?: number;
  /** Seconds since the epoch after which earlier times become `clampTime` too. */
  readonly clampAfter?: number;
  /** As a layer of a Windows image. Default: when the layer is on top of one. */
  readonly windows?: boolean;
}

/** How a layer in this form is compressed. */
export function compressionOfForm({ kind, level }: PackForm): LayerCompression {
  return { kind, ...(level === undefined ? {} : { level }) };
}

/**
 * The layer in a form that the store has.
 * @param anyForm another compression will do
 */
export function findPacked(store: Store, layer: Layer, kind: Compression, anyForm: boolean): PackedLayer | undefined {
  const { diffId, blobs, createdAt, description, type } = layer;
  if (diffId === undefined) return undefined;
  const present = blobs.filter(({ descriptor }) => store.blobs.has(descriptor.digest));
  const blob = present.find((one) => one.compression === kind) ?? (anyForm ? present[0] : undefined);
  if (!blob) return undefined;
  return { diffId, descriptor: blob.descriptor, createdAt, description, fromImage: type === 'source.image' };
}

/** A blob of the layer, whatever its compression, for `recompressLayer`. */
export function anyBlob(
  store: Store,
  { diffId, blobs }: Layer,
): { readonly blob: string; readonly from: Compression; readonly diffId: Digest } | undefined {
  const present = blobs.find(({ descriptor }) => store.blobs.has(descriptor.digest));
  if (diffId === undefined || !present) return undefined;
  return { blob: store.blobs.path(present.descriptor.digest), from: present.compression, diffId };
}

/** The media type of a layer blob (image-spec, layer.md). */
export function layerType(compression: Compression): string {
  switch (compression) {
    case 'none':
      return mediaTypes.ociLayer;
    case 'gzip':
      return mediaTypes.ociLayerGzip;
    case 'zstd':
      return mediaTypes.ociLayerZstd;
  }
}
