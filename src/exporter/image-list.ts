import { formatPlatform } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { type Digest, messageOf } from '../util/index.ts';
import { familiarName } from './names.ts';
import { readStoredImage } from './stored-image.ts';

/** One line of `tsbuild images`. */
export interface ImageListEntry {
  /** Normalised. */
  readonly name: string;
  /** As docker shows it: `app:latest`. */
  readonly familiar: string;
  /** Of the manifest or index. */
  readonly digest: Digest;
  /** Of the config, where there is one platform: what docker calls the image id. */
  readonly id?: Digest;
  readonly platforms: readonly string[];
  /** Bytes of all its blobs, each counted once. */
  readonly size: number;
  /** RFC 3339; of the newest platform. */
  readonly created?: string;
  /** Of the first platform. */
  readonly labels?: Readonly<Record<string, string>>;
  /** ms since the epoch: when the name was given. */
  readonly namedAt: number;
  /** Why it cannot be used. */
  readonly problem?: string;
}

/** The images of the local image store by name. A damaged one is listed with its problem. */
export function listImages(store: Store): ImageListEntry[] {
  return store.images.list().map(({ name, descriptor, createdAt }): ImageListEntry => {
    const base = { name, familiar: familiarName(name), digest: descriptor.digest, namedAt: createdAt };
    try {
      const image = readStoredImage(store.blobs, name, descriptor);
      const sizes = new Map(image.documents.map((document) => [document.descriptor.digest, document.descriptor.size]));
      for (const { layers } of image.platforms) for (const { digest, size } of layers) sizes.set(digest, size);
      const images = image.platforms.filter(({ imageConfig }) => imageConfig !== undefined);
      const labels = images[0]?.imageConfig?.config.Labels;
      return {
        ...base,
        ...(images.length === 1 && images[0] !== undefined ? { id: images[0].config.digest } : {}),
        platforms: images.map(({ platform }) => formatPlatform(platform)),
        size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
        ...(image.created === undefined ? {} : { created: image.created }),
        ...(labels === undefined ? {} : { labels }),
      };
    } catch (error) {
      return { ...base, platforms: [], size: 0, problem: messageOf(error) };
    }
  });
}
