import { sanitizeLine, suggest, TsbuildError } from '../util/index.ts';
import type { Store, StoredImage } from '../store/index.ts';
import { namesOfId, storedName } from './image-id.ts';
import { familiarName } from './names.ts';

/** What became of names that were to go. */
export interface RemovedImages {
  /** Normalised names that went. */
  readonly removed: readonly string[];
  /** Why others did not: `TSB_NOT_FOUND`, or `TSB_STORE` for an image in use that would lose its last name. */
  readonly refused: readonly TsbuildError[];
}

/**
 * Removes names from the local image store, as many as can be: one that is not there keeps no other. Their blobs go with the next prune.
 * @param names as the user gives them, or an id, which all names of an image have
 * @param force names of an image that a running command uses, too: that has what it needs until it ends
 * @throws TsbuildError `TSB_USAGE` for what is no name; nothing is removed then
 */
export function removeImages(
  store: Store,
  names: readonly string[],
  { force = false }: { readonly force?: boolean } = {},
): RemovedImages {
  const all = store.images.list();
  const found = new Set<string>();
  const refused: TsbuildError[] = [];
  // All are looked up before one goes: an id may be among them that only a name beside it has.
  for (const text of names) {
    const byName = storedName(store, text);
    const meant = byName === undefined ? namesOfId(store, text) : [byName];
    for (const name of meant) found.add(name);
    if (meant.length === 0) refused.push(notFound(all, text));
  }
  const used = force ? [] : usedImages(store, all, found);
  for (const { name, error } of used) {
    found.delete(name);
    refused.push(error);
  }
  return { removed: [...found].filter((name) => store.images.remove(name)), refused };
}

function notFound(all: readonly StoredImage[], text: string): TsbuildError {
  const near = suggest(
    text,
    all.map((image) => familiarName(image.name)),
  );
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot remove ${JSON.stringify(text)}: no such image in the local image store`,
    {
      hint: near === undefined ? 'list images with "tsbuild images"' : `did you mean ${JSON.stringify(near)}?`,
    },
  );
}

/** Names that are not to go, for an image goes with its last one. */
function usedImages(
  store: Store,
  all: readonly StoredImage[],
  names: ReadonlySet<string>,
): readonly { readonly name: string; readonly error: TsbuildError }[] {
  return all.flatMap(({ name, descriptor }) => {
    if (!names.has(name)) return [];
    const keepsName = all.some((other) => other.descriptor.digest === descriptor.digest && !names.has(other.name));
    const users = keepsName ? [] : store.usersOfBlob(descriptor.digest);
    if (users.length === 0) return [];
    const error = new TsbuildError(
      'TSB_STORE',
      `Cannot remove ${JSON.stringify(familiarName(name))}: ${sanitizeLine(users.join(' and '))} uses it`,
      {
        hint: 'wait until that has ended, or add --force: then the name goes now, and the files when nobody needs them',
      },
    );
    return [{ name, error }];
  });
}
