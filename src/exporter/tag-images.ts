import {
  familiarReference,
  type Descriptor,
  documentMediaType,
  MAX_MANIFEST_BYTES,
  parseReference,
} from '../image/index.ts';
import type { Lease, Store } from '../store/index.ts';
import { suggest, TsbuildError } from '../util/index.ts';
import { namesOfId, storedName, unnamedImage } from './image-id.ts';
import { parseNames } from './names.ts';
import { readStoredImage } from './stored-image.ts';

/**
 * Gives an image of the store more names. A name that another image has is taken from it.
 * @param source a name or an id, as the user gives it
 * @returns the names, normalised
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`; no name is given then
 */
export function tagImage(store: Store, lease: Lease, source: string, targets: readonly string[]): readonly string[] {
  const names = parseNames(targets);
  const descriptor = descriptorOf(store, source);
  // Without a name it may go at any time: hold it, and see whether all of it is there.
  lease.hold({ blobs: [descriptor.digest] });
  const { documents, platforms } = readStoredImage(store.blobs, source, descriptor);
  const layers = platforms.flatMap((platform) => platform.layers.map(({ digest }) => digest));
  lease.hold({ blobs: [...documents.map((document) => document.descriptor.digest), ...layers] });
  for (const digest of layers)
    if (!store.blobs.has(digest))
      throw new TsbuildError('TSB_NOT_FOUND', `Cannot tag ${JSON.stringify(source)}: its layer ${digest} is missing`);
  for (const name of names) store.images.put(name, descriptor);
  return names;
}

function descriptorOf(store: Store, source: string): Descriptor {
  const name = storedName(store, source) ?? namesOfId(store, source)[0];
  const named = name === undefined ? undefined : store.images.get(name);
  if (named !== undefined) return named.descriptor;
  const digest = unnamedImage(store, source);
  if (digest !== undefined) {
    const bytes = store.blobs.read(digest, MAX_MANIFEST_BYTES);
    return { mediaType: documentMediaType(bytes, undefined, `image ${digest}`), digest, size: bytes.length };
  }
  throw notFound(store, 'tag', source);
}

/**
 * Takes names from an image: those that are given, or all that it has. Its blobs go with the next prune when none is left.
 * @returns the names that were removed, normalised
 * @throws TsbuildError `TSB_NOT_FOUND` when it does not have one of them; nothing is removed then
 */
export function untagImage(store: Store, source: string, names: readonly string[]): readonly string[] {
  const own = storedName(store, source) ?? namesOfId(store, source)[0];
  const image = own === undefined ? undefined : store.images.get(own);
  if (image === undefined) throw notFound(store, 'untag', source);
  const all = store.images.list().filter(({ descriptor }) => descriptor.digest === image.descriptor.digest);
  const removed = names.length === 0 ? all.map(({ name }) => name) : parseNames(names);
  for (const name of removed) {
    if (all.some((one) => one.name === name)) continue;
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot untag ${JSON.stringify(source)}: it is not called ${JSON.stringify(name)}`,
      {
        hint: `it is called ${all.map((one) => familiarReference(parseReference(one.name))).join(', ')}`,
      },
    );
  }
  for (const name of removed) store.images.remove(name);
  return removed;
}

function notFound(store: Store, doing: string, source: string): TsbuildError {
  const near = suggest(
    source,
    store.images.list().map(({ name }) => familiarReference(parseReference(name))),
  );
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot ${doing} ${JSON.stringify(source)}: no such image in the local image store`,
    {
      hint: near === undefined ? 'list images with "tsbuild images"' : `did you mean ${JSON.stringify(near)}?`,
    },
  );
}
