import { sanitizeLine, suggest, TsbuildError } from '../util/index.ts';
import type { Store, StoredImage } from '../store/index.ts';
import { namesOfId, storedName } from './image-id.ts';
import { familiarName } from './names.ts';

/**
 * Removes names from the local image store. Their blobs go with the next prune.
 * @param names as the user gives them, or an id, which all names of an image have
 * @param force names of an image that a running command uses, too: that has what it needs until it ends
 * @returns the normalised names that were removed
 * @throws TsbuildError `TSB_NOT_FOUND`, or `TSB_STORE` for an image in use that would lose its last name; nothing is removed then
 */
export function removeImages(
  store: Store,
  names: readonly string[],
  { force = false }: { readonly force?: boolean } = {},
): string[] {
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
  if (!force) refuseUsed(store, all, distinct);
  for (const name of distinct) store.images.remove(name);
  return distinct;
}

/** An image goes with its last name. */
function refuseUsed(store: Store, all: readonly StoredImage[], names: readonly string[]): void {
  for (const { name, descriptor } of all) {
    if (!names.includes(name)) continue;
    const keepsName = all.some((other) => other.descriptor.digest === descriptor.digest && !names.includes(other.name));
    const users = keepsName ? [] : store.usersOfBlob(descriptor.digest);
    if (users.length === 0) continue;
    throw new TsbuildError(
      'TSB_STORE',
      `Cannot remove ${JSON.stringify(familiarName(name))}: ${sanitizeLine(users.join(' and '))} uses it`,
      {
        hint: 'wait until that has ended, or add --force: then the name goes now, and the files when nobody needs them',
      },
    );
  }
}
