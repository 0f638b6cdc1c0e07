import { documentMediaType, MAX_MANIFEST_BYTES, normalizeReference, parseDocument } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { type Digest, isDigest, TsbuildError } from '../util/index.ts';
import { type ImageListEntry, listImages } from './image-list.ts';

/** The hex digits of what may be an image id: `sha256:` and digits, or digits alone, at least four. */
export function idDigits(text: string): string | undefined {
  return /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(text)?.[1];
}

/** The name of the local image store that a reference is, normalised; undefined where there is none. @throws TsbuildError `TSB_USAGE` */
export function storedName(store: Store, text: string): string | undefined {
  // Whole ids are no references.
  if (idDigits(text)?.length === 64) return undefined;
  const name = normalizeReference(text);
  return store.images.get(name) === undefined ? undefined : name;
}

/**
 * Names of the local image store that stand for the image with an id, whole or short: the digest of its config, manifest or index,
 * as `tsbuild images` and `build -q` print it. Empty when there are none.
 * @throws TsbuildError `TSB_USAGE` when the id is short for several images
 */
export function namesOfId(store: Store, text: string): readonly string[] {
  const digits = idDigits(text);
  if (digits === undefined) return [];
  const found = listImages(store).filter((image) => [image.id, image.digest].some((id) => isShortFor(digits, id)));
  requireOne(text, found.map(idOf));
  return found.map(({ name }) => name);
}

/**
 * The digest of the manifest or index that an id stands for where it has no name: images that were built without `-t` stay in the
 * store until the next prune. Looks through all documents of the store.
 * @throws TsbuildError `TSB_USAGE` when the id is short for several images
 */
export function unnamedImage(store: Store, text: string): Digest | undefined {
  const digits = idDigits(text);
  if (digits === undefined) return undefined;
  /** By what the id is the digest of. An image that is compressed in two ways has two manifests and one config. */
  const found = new Map<Digest, Digest>();
  for (const { digest, size } of store.blobs.list()) {
    if (size > MAX_MANIFEST_BYTES) continue;
    const config = imageDocument(store, digest);
    if (config === undefined) continue;
    if (isShortFor(digits, digest)) found.set(digest, digest);
    else if (config !== 'index' && isShortFor(digits, config)) found.set(config, digest);
  }
  requireOne(text, [...found.keys()]);
  return [...found.values()][0];
}

/** Whether a blob is a manifest, and then of which config, or an index; undefined for all others. */
function imageDocument(store: Store, digest: Digest): Digest | 'index' | undefined {
  const bytes = store.blobs.peek(digest, MAX_MANIFEST_BYTES);
  // Layers are compressed, and other documents have no schema version.
  if (bytes?.[0] !== 0x7b || !bytes.includes('"schemaVersion"')) return undefined;
  try {
    const document = parseDocument(bytes, documentMediaType(bytes, undefined, 'a blob'), 'a blob');
    return document.kind === 'manifest' ? document.manifest.config.digest : 'index';
  } catch {
    return undefined;
  }
}

function isShortFor(digits: string, digest: Digest | undefined): boolean {
  return isDigest(digest) && digest.startsWith(`sha256:${digits}`);
}

function idOf({ id, digest }: ImageListEntry): Digest {
  return id ?? digest;
}

function requireOne(text: string, ids: readonly Digest[]): void {
  const distinct = [...new Set(ids)];
  if (distinct.length > 1)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use image id ${JSON.stringify(text)}: it is short for ${distinct.length} images`,
      {
        hint: `write more of it: ${distinct.slice(0, 5).join(', ')}`,
      },
    );
}
