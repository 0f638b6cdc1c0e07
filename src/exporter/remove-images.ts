import { suggest, TsbuildError } from '../util/index.ts';
import type { Store } from '../store/index.ts';
import { namesOfId, storedName } from './image-id.ts';
import { familiarName } from './names.ts';

/**
 * Removes names from the local image store. Their blobs go with the next prune.
 * @param names as the user gives them, or an id, which all names of an image have
 * @returns the normalised names that were removed
 * @throws TsbuildError `TSB_NOT_FOUND`; nothing is removed then
 */
export function removeImages(store: Store, names: readonly string[]): string[] {
  const all = store.images.list();
  const found = names.flatMap((text) => {
    const byName = storedName(store, text);
    if (byName !== undefined) return [byName];
    const byId = namesOfId(store, text);
    if (byId.length > 0) return byId;
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
