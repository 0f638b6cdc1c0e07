import type { Digest } from '../util/index.ts';
import { imageBlobs } from './image-graph.ts';
import type { Store } from './store.ts';
import type { UsageRecord, UsageReport } from './types.ts';

/** Digests with sizes in bytes. */
export type BlobSizes = ReadonlyMap<Digest, number>;

/** A record with what `prune` needs to know. */
export interface SurveyEntry {
  readonly record: UsageRecord;
  readonly kind: 'layer' | 'mount' | 'image' | 'blob';
  /** Bytes of its directory. */
  readonly directoryBytes: number;
  /** Blobs that it names and that are there. */
  readonly blobs: readonly Digest[];
}

/** Everything in the store at one moment. */
export interface Survey {
  readonly entries: readonly SurveyEntry[];
  /** All blobs that are there. */
  readonly blobs: BlobSizes;
  /** Blobs that named images need. */
  readonly imageBlobs: ReadonlySet<Digest>;
}

/** What the store holds: one record per layer, cache mount, named image and loose blob. */
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

export function survey(store: Store): Survey {
  store.layers.flush();
  const files = new Map([...store.blobs.list()].map((info) => [info.digest, info]));
  const images = store.images.list().map((image) => ({ image, content: imageBlobs(store.blobs, image.descriptor) }));
  const neededByImages = new Set(images.flatMap(({ content }) => [...content.blobs.keys()]));
  const leased = {
    layers: store.leases.names('layer'),
    blobs: store.leases.names('blob'),
    mounts: store.leases.names('mount'),
  };
  const layers = store.layers.list();
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
      record: {
        type: layer.type,
        id: layer.id,
        description: layer.description,
        size: layer.bytes + count(blobs),
        shared: blobs.some((digest) => neededByImages.has(digest) || (named.get(digest) ?? 0) > 1),
        inUse: leased.layers.has(layer.id),
        parents: layer.parents,
        createdAt: layer.createdAt,
        usedAt: layer.usedAt,
      },
    });
  }
  for (const mount of store.mounts.list()) {
    entries.push({
      kind: 'mount',
      directoryBytes: mount.bytes,
      blobs: [],
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
      record: {
        type: 'blob',
        id: digest,
        description: '',
        size,
        shared: false,
        inUse: leased.blobs.has(digest) || modifiedAt >= oldestSession,
        parents: [],
        createdAt: time,
        usedAt: time,
      },
    });
  }
  return {
    entries,
    blobs: new Map([...files].map(([digest, { size }]) => [digest, size])),
    imageBlobs: neededByImages,
  };
}

/** Everything that named images need. */
export function blobsOfImages(store: Store): ReadonlySet<Digest> {
  return new Set(
    store.images.list().flatMap(({ descriptor }) => [...imageBlobs(store.blobs, descriptor).blobs.keys()]),
  );
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
