import { type Descriptor, mediaTypes, type Platform } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { Lease, Store } from '../store/index.ts';
import { goJsonIndented } from './go-json.ts';
import { parseNames } from './names.ts';

/** Where an import goes, and what an archive does not say itself. */
export interface ImportOptions {
  readonly store: Store;
  readonly lease: Lease;
  /** Names for the image instead of those that the archive has; only for archives with one image. */
  readonly names?: readonly string[];
  /** What an archive is taken for. Default `auto`: by what is in it. */
  readonly format?: 'auto' | 'image' | 'rootfs';
  /** Of a root file system, which does not tell. */
  readonly platform: Platform;
  /** Compress layers that are not: those of docker archives, where they are to go on to a registry. */
  readonly compress?: boolean;
  /** Seconds since the epoch when a root file system is said to have been made; the present when absent. */
  readonly epoch?: number;
}

/** An image that was imported. */
export interface ImportedImage {
  /** Normalised; none when the archive has none and none were given: such an image goes with the next prune. */
  readonly names: readonly string[];
  readonly descriptor: Descriptor;
}

/** The normalised form of a name in an archive. Such names are hints: one that is malformed is none. */
export function validName(name: string): string | undefined {
  try {
    return parseNames([name])[0];
  } catch {
    return undefined;
  }
}

/** Stores a config and a manifest for it. */
export function putImage(
  config: Uint8Array,
  layers: readonly Descriptor[],
  { store, lease }: ImportOptions,
): Descriptor {
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
export function publish(
  images: readonly ImportedImage[],
  what: string,
  { names, store }: ImportOptions,
): ImportedImage[] {
  if (names !== undefined && names.length > 0 && images.length > 1) {
    throw new TsbuildError('TSB_USAGE', `Cannot name the image of ${what}: it has ${images.length} images`);
  }
  return images.map((image) => {
    const own = names !== undefined && names.length > 0 ? parseNames(names) : image.names;
    for (const name of own) store.images.put(name, image.descriptor);
    return { names: own, descriptor: image.descriptor };
  });
}
