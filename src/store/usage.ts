import type { Digest } from '../util/index.ts';
import { imageBlobs } from './image-graph.ts';
import type { Store } from './store.ts';
import type { BlobInfo, CacheMount, Layer, StoredImage, UsageRecord, UsageReport } from './types.ts';

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
  const images = namedImages.map((image) => ({
    image,
    needs: [...imageBlobs(store.blobs, image.descriptor).blobs.keys()],
  }));
  const imageNeeds = new Set(images.flatMap(({ needs }) => needs));
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
  const tally = new Tally(files);
  // In this order: a blob is counted with the first that names it.
  const entries = [
    ...layers.map((layer) =>
      layerEntry(layer, tally, {
        depth: depths(layer.beneath),
        parents: parentsOf(stacks.get(layer.beneath)),
        inUse: leased.layers.has(layer.id),
        usedAt: uses.layers.get(layer.id) ?? 0,
        isShared: (digest) => imageNeeds.has(digest) || (named.get(digest) ?? 0) > 1,
      }),
    ),
    ...store.mounts.list().map((mount) => mountEntry(mount, leased.mounts.has(mount.id))),
    ...images.map(({ image, needs }) => imageEntry(image, tally.count(needs), (digest) => named.has(digest))),
    ...tally
      .rest()
      .map((file) =>
        blobEntry(
          file,
          leased.blobs.has(file.digest) || file.modifiedAt >= oldestSession,
          uses.blobs.get(file.digest) ?? 0,
        ),
      ),
    ...store.logs.list().map(({ id, step, bytes, failedAt }) => fileEntry('log', id, step, bytes, failedAt)),
    ...store.reports.list().map(({ id, bytes, madeAt }) => fileEntry('report', id, '', bytes, madeAt)),
  ];
  return {
    entries,
    blobs: new Map([...files].map(([digest, { size }]) => [digest, size])),
    imageBlobs: imageNeeds,
  };
}

type BlobFile = BlobInfo & { readonly modifiedAt: number };

/** What a record names of the blobs that are there. */
interface Counted {
  readonly blobs: readonly Digest[];
  /** Bytes of those that no record before has named. */
  readonly bytes: number;
}

/** Counts every blob with the first record that names it. */
class Tally {
  readonly #files: ReadonlyMap<Digest, BlobFile>;
  readonly #counted = new Set<Digest>();

  constructor(files: ReadonlyMap<Digest, BlobFile>) {
    this.#files = files;
  }

  count(named: readonly Digest[]): Counted {
    const blobs = named.filter((digest) => this.#files.has(digest));
    let bytes = 0;
    for (const digest of blobs) {
      if (!this.#counted.has(digest)) bytes += this.#files.get(digest)?.size ?? 0;
      this.#counted.add(digest);
    }
    return { blobs, bytes };
  }

  /** Blobs that nothing names. */
  rest(): readonly BlobFile[] {
    return [...this.#files.values()].filter(({ digest }) => !this.#counted.has(digest));
  }
}

interface LayerPlace {
  readonly depth: number;
  readonly parents: readonly string[];
  readonly inUse: boolean;
  /** When a cache record last made use of it. */
  readonly usedAt: number;
  /** Whether a blob is needed without this layer, too. */
  readonly isShared: (digest: Digest) => boolean;
}

function layerEntry(layer: Layer, tally: Tally, place: LayerPlace): SurveyEntry {
  const { blobs, bytes } = tally.count(layer.blobs.map(({ descriptor }) => descriptor.digest));
  const { type, id, description, createdAt } = layer;
  const { depth, parents, inUse } = place;
  const size = layer.bytes + bytes;
  const usedAt = Math.max(layer.usedAt, place.usedAt);
  const shared = blobs.some(place.isShared);
  const record = { type, id, description, size, shared, inUse, parents, createdAt, usedAt };
  return { kind: 'layer', directoryBytes: layer.bytes, blobs, depth, record };
}

function mountEntry({ id, description, bytes, createdAt, usedAt }: CacheMount, inUse: boolean): SurveyEntry {
  const own = { type: 'exec.cachemount', id, description, size: bytes } as const;
  const record = { ...own, shared: false, inUse, parents: [], createdAt, usedAt };
  return { kind: 'mount', directoryBytes: bytes, blobs: [], depth: 0, record };
}

function imageEntry(image: StoredImage, { blobs, bytes }: Counted, isLayers: (digest: Digest) => boolean): SurveyEntry {
  const { name, descriptor, createdAt } = image;
  const own = { type: 'image', id: name, description: descriptor.digest, size: bytes } as const;
  const record = { ...own, shared: blobs.some(isLayers), inUse: false, parents: [], createdAt, usedAt: createdAt };
  return { kind: 'image', directoryBytes: 0, blobs, depth: 0, record };
}

/** A blob that nothing names. */
function blobEntry({ digest, size, modifiedAt }: BlobFile, inUse: boolean, lastUse: number): SurveyEntry {
  const time = Math.floor(modifiedAt);
  const own = { type: 'blob', id: digest, description: '', size } as const;
  const record = { ...own, shared: false, inUse, parents: [], createdAt: time, usedAt: Math.max(time, lastUse) };
  return { kind: 'blob', directoryBytes: 0, blobs: [digest], depth: 0, record };
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
