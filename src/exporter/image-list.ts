import { normalizeReference, formatPlatform } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { type Digest, messageOf, suggest, TsbuildError } from '../util/index.ts';
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
      return {
        ...base,
        ...(images.length === 1 && images[0] !== undefined ? { id: images[0].config.digest } : {}),
        platforms: images.map(({ platform }) => formatPlatform(platform)),
        size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
        ...(image.created === undefined ? {} : { created: image.created }),
      };
    } catch (error) {
      return { ...base, platforms: [], size: 0, problem: messageOf(error) };
    }
  });
}

/**
 * Removes names from the local image store. Their blobs go with the next prune.
 * @param names as the user gives them, or a digest (at least 12 of its digits) that all names of an image have
 * @returns the normalised names that were removed
 * @throws TsbuildError `TSB_NOT_FOUND`; nothing is removed then
 */
export function removeImages(store: Store, names: readonly string[]): string[] {
  const all = store.images.list();
  const found = names.flatMap((text) => {
    const digits = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(text)?.[1];
    const byDigest =
      digits === undefined ? [] : all.filter(({ descriptor }) => descriptor.digest.startsWith(`sha256:${digits}`));
    if (byDigest.length > 0) return byDigest.map(({ name }) => name);
    const name = normalizeReference(text);
    if (store.images.get(name) !== undefined) return [name];
    const near = suggest(
      text,
      all.map((image) => familiarName(image.name)),
    );
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot remove ${JSON.stringify(text)}: no such image in the local image store`,
      {
        hint: near === undefined ? 'list images with "tsbuild images"' : `did you mean ${JSON.stringify(near)}?`,
      },
    );
  });
  const distinct = [...new Set(found)];
  for (const name of distinct) store.images.remove(name);
  return distinct;
}
