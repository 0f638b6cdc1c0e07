import type { Descriptor, ImageConfig, ImageIndex, Manifest } from '../image/index.ts';
import { type Digest, isDigest } from '../util/index.ts';
import type { BlobDir } from './blob-dir.ts';

const MAX_METADATA = 4 << 20;
const MAX_DEPTH = 4;

/** An image manifest in the store with its config, when that is there too. */
export interface FoundManifest {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>;
  readonly manifest: Manifest;
  readonly config: ImageConfig | undefined;
}

/** What an image consists of. */
export interface ImageBlobs {
  /** Every blob that is reachable, whether it is there or not, with its size in bytes. */
  readonly blobs: ReadonlyMap<Digest, number>;
  /** Blobs without which the image is of no use. Manifests of other platforms may be missing from an index. */
  readonly missing: readonly Digest[];
  /** An index or manifest cannot be parsed. */
  readonly malformed: readonly Digest[];
}

/** Follows an index or a manifest to everything that it names. */
export function imageBlobs(store: BlobDir, root: Descriptor): ImageBlobs {
  const blobs = new Map<Digest, number>();
  const missing: Digest[] = [];
  const malformed: Digest[] = [];
  const visit = (descriptor: Descriptor, depth: number): boolean => {
    if (blobs.has(descriptor.digest)) return true;
    blobs.set(descriptor.digest, descriptor.size);
    const value = readMetadata(store, descriptor.digest);
    if (value === undefined) {
      (store.has(descriptor.digest) ? malformed : missing).push(descriptor.digest);
      return false;
    }
    const manifest = asManifest(value);
    if (manifest) {
      for (const part of [manifest.config, ...manifest.layers]) {
        blobs.set(part.digest, part.size);
        if (!store.has(part.digest, part.size)) missing.push(part.digest);
      }
      return true;
    }
    const index = asIndex(value);
    if (!index || depth >= MAX_DEPTH) {
      malformed.push(descriptor.digest);
      return false;
    }
    const before = missing.length;
    const present = index.manifests.filter((child) => visit(child, depth + 1));
    // A pulled index keeps only the platforms that somebody asked for.
    const absent = new Set(index.manifests.filter((child) => !store.has(child.digest)).map((child) => child.digest));
    if (present.length > 0)
      missing.splice(before, Infinity, ...missing.slice(before).filter((digest) => !absent.has(digest)));
    return true;
  };
  visit(root, 0);
  return { blobs, missing, malformed };
}

/** Every image manifest among the blobs, by looking at those that are small enough and begin like JSON. */
export function* findManifests(store: BlobDir): Generator<FoundManifest> {
  for (const { digest, size } of store.list()) {
    if (size > MAX_METADATA || size < 2) continue;
    const manifest = asManifest(readMetadata(store, digest));
    if (!manifest) continue;
    const config = readMetadata(store, manifest.config.digest) as ImageConfig | undefined;
    const diffIds: unknown = config?.rootfs?.diff_ids;
    const fits = Array.isArray(diffIds) && diffIds.length === manifest.layers.length && diffIds.every(isDigest);
    yield { descriptor: { digest, size }, manifest, config: fits ? config : undefined };
  }
}

/** Parsed JSON, or undefined when the blob is not there, not JSON, or damaged. */
function readMetadata(store: BlobDir, digest: Digest): unknown {
  const bytes = store.peek(digest, MAX_METADATA);
  if (bytes?.[0] !== 0x7b) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== 'object' || value === null) return false;
  const { digest, size, mediaType } = value as Partial<Descriptor>;
  return isDigest(digest) && typeof size === 'number' && size >= 0 && typeof mediaType === 'string';
}

function asManifest(value: unknown): Manifest | undefined {
  const manifest = value as Partial<Manifest> | null | undefined;
  if (typeof manifest !== 'object' || manifest === null) return undefined;
  const { config, layers } = manifest;
  return isDescriptor(config) && Array.isArray(layers) && layers.every(isDescriptor)
    ? (manifest as Manifest)
    : undefined;
}

function asIndex(value: unknown): ImageIndex | undefined {
  const index = value as Partial<ImageIndex> | null | undefined;
  if (typeof index !== 'object' || index === null) return undefined;
  return Array.isArray(index.manifests) && index.manifests.every(isDescriptor) ? (index as ImageIndex) : undefined;
}
