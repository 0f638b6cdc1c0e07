import type { Digest } from '../util/index.ts';
import { imageBlobs } from './image-graph.ts';
import type { Store } from './store.ts';
import type { StoredImage, UsageRecord, UsageReport } from './types.ts';

/** Digests with sizes in bytes. */
export type BlobSizes = ReadonlyMap<Digest, number>;

/** A record with what `prune` needs to know. */
export interface SurveyEntry {
  readonly record: UsageRecord;
  readonly kind: 'layer' | 'mount' | 'image' | 'blob' | 'log' | 'report';
  /** Bytes of its directory. */
  readonly directoryBytes: number;
  /** Blobs that it names and that are there. */
  readonly blobs: readonly Digest[];
  /** How many layers it stands on. */
  readonly depth: number;
}

/** Everything in the store at one moment. */
export interface Survey {
  readonly entries: readonly SurveyEntry[];
  /** All blobs that are there. */
  readonly blobs: BlobSizes;
  /** Blobs that named images need. */
  readonly imageBlobs: ReadonlySet<Digest>;
}

/** What the store holds: one record per layer, cache mount, named image, loose blob, log of a failed step and remembered build. */
export function du(store: Store): UsageReport {
  const { entries } = survey(store);
  const records = entries.map(({ record }) => record);
  const reclaimable = entries.filter(({ record, kind }) => kind !== 'image' && !record.inUse);
  return {
    records,
    totalBytes: sum(records.map(({ size }) => size)),
    reclaimableBytes: sum(reclaimable.map(({ record }) => record.size)),
  };
}

/** @param namedImages the images to be reckoned with; a dry run may leave them out */
export function survey(store: Store, namedImages: readonly StoredImage[] = store.images.list()): Survey {
  store.layers.flush();
  const files = new Map([...store.blobs.list()].map((info) => [info.digest, info]));
  const images = namedImages.map((image) => ({ image, content: imageBlobs(store.blobs, image.descriptor) }));
  const neededByImages = new Set(images.flatMap(({ content }) => [...content.blobs.keys()]));
  const leased = {
    layers: store.leases.names('layer'),
    blobs: store.leases.names('blob'),
    mounts: store.leases.names('mount'),
  };
  const layers = store.layers.list();
  const stacks = store.stacks.all();
  const depths = depthsOf(stacks);
  const uses = usesOf(store, stacks);
  const named = new Map<Digest, number>();
  for (const { blobs } of layers)
    for (const { descriptor } of blobs) named.set(descriptor.digest, (named.get(descriptor.digest) ?? 0) + 1);

  // The worker cannot lease what it has just written: what is younger than a running session counts as in use.
  const oldestSession = store.sessions.oldestStart();

  // Every blob is counted with the first record that names it.
  const counted = new Set<Digest>();
  const count = (digests: readonly Digest[]): number => {
    let bytes = 0;
    for (const digest of digests) {
      if (!counted.has(digest)) bytes += files.get(digest)?.size ?? 0;
      counted.add(digest);
    }
    return bytes;
  };
  const isThere = (digest: Digest): boolean => files.has(digest);
  const entries: SurveyEntry[] = [];
  for (const layer of layers) {
    const blobs = layer.blobs.map(({ descriptor }) => descriptor.digest).filter(isThere);
    entries.push({
      kind: 'layer',
      directoryBytes: layer.bytes,
      blobs,
      depth: depths(layer.beneath),
      record: {
        type: layer.type,
        id: layer.id,
        description: layer.description,
        size: layer.bytes + count(blobs),
        shared: blobs.some((digest) => neededByImages.has(digest) || (named.get(digest) ?? 0) > 1),
        inUse: leased.layers.has(layer.id),
        parents: parentsOf(stacks.get(layer.beneath)),
        createdAt: layer.createdAt,
        usedAt: Math.max(layer.usedAt, uses.layers.get(layer.id) ?? 0),
      },
    });
  }
  for (const mount of store.mounts.list()) {
    entries.push({
      kind: 'mount',
      directoryBytes: mount.bytes,
      blobs: [],
      depth: 0,
      record: {
        type: 'exec.cachemount',
        id: mount.id,
        description: mount.description,
        size: mount.bytes,
        shared: false,
        inUse: leased.mounts.has(mount.id),
        parents: [],
        createdAt: mount.createdAt,
        usedAt: mount.usedAt,
      },
    });
  }
  for (const { image, content } of images) {
    const blobs = [...content.blobs.keys()].filter(isThere);
    entries.push({
      kind: 'image',
      directoryBytes: 0,
      blobs,
      depth: 0,
      record: {
        type: 'image',
        id: image.name,
        description: image.descriptor.digest,
        size: count(blobs),
        shared: blobs.some((digest) => named.has(digest)),
        inUse: false,
        parents: [],
        createdAt: image.createdAt,
        usedAt: image.createdAt,
      },
    });
  }
  for (const { digest, size, modifiedAt } of files.values()) {
    if (counted.has(digest)) continue;
    const time = Math.floor(modifiedAt);
    entries.push({
      kind: 'blob',
      directoryBytes: 0,
      blobs: [digest],
      depth: 0,
      record: {
        type: 'blob',
        id: digest,
        description: '',
        size,
        shared: false,
        inUse: leased.blobs.has(digest) || modifiedAt >= oldestSession,
        parents: [],
        createdAt: time,
        usedAt: Math.max(time, uses.blobs.get(digest) ?? 0),
      },
    });
  }
  for (const { id, step, bytes, failedAt } of store.logs.list())
    entries.push(fileEntry('log', id, step, bytes, failedAt));
  for (const { id, bytes, madeAt } of store.reports.list()) entries.push(fileEntry('report', id, '', bytes, madeAt));
  return {
    entries,
    blobs: new Map([...files].map(([digest, { size }]) => [digest, size])),
    imageBlobs: neededByImages,
  };
}

/** A file that nothing depends on. */
function fileEntry(kind: 'log' | 'report', id: string, description: string, bytes: number, at: number): SurveyEntry {
  const time = Math.floor(at);
  const size = bytes;
  const record = {
    type: kind,
    id,
    description,
    size,
    shared: false,
    inUse: false,
    parents: [],
    createdAt: time,
    usedAt: time,
  };
  return { kind, directoryBytes: bytes, blobs: [], depth: 0, record };
}

const parentsOf = (node: { readonly layer: string } | undefined): readonly string[] => (node ? [node.layer] : []);

type Stacks = ReturnType<Store['stacks']['all']>;

/** Lengths of stacks, each found out once: beneath a long chain the same ones are met again and again. */
function depthsOf(stacks: Stacks): (id: string) => number {
  const known = new Map<string, number>();
  return (id) => {
    const path: string[] = [];
    for (let at = id; !known.has(at) && stacks.has(at); at = stacks.get(at)?.parent ?? '') path.push(at);
    let depth = known.get(stacks.get(path.at(-1) ?? '')?.parent ?? id) ?? 0;
    for (const at of path.toReversed()) known.set(at, ++depth);
    return known.get(id) ?? 0;
  };
}

/**
 * When cache records last made use of layers and blobs. A record uses all that it stands on; since the newest come first, a
 * stack that was met before has nothing new beneath it.
 */
function usesOf(
  store: Store,
  stacks: Stacks,
): { readonly layers: ReadonlyMap<string, number>; readonly blobs: ReadonlyMap<Digest, number> } {
  const uses = store.records.uses();
  const layers = new Map<string, number>();
  const met = new Set<string>();
  for (const [stack, usedAt] of uses.stacks) {
    for (let at = stack; !met.has(at); at = stacks.get(at)?.parent ?? '') {
      met.add(at);
      const node = stacks.get(at);
      if (!node) break;
      layers.set(node.layer, Math.max(layers.get(node.layer) ?? 0, usedAt));
    }
  }
  return { layers, blobs: uses.blobs };
}

/** Everything that named images need. */
export function blobsOfImages(store: Store): ReadonlySet<Digest> {
  return new Set(
    store.images.list().flatMap(({ descriptor }) => [...imageBlobs(store.blobs, descriptor).blobs.keys()]),
  );
}

/** Adds up. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
