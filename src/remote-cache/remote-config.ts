import { type Guard, guardFor, type Json, compressionOf, type Descriptor } from '../image/index.ts';
import { type Digest, isDigest, parseStrictJson } from '../util/index.ts';

/** Media type of the config of a cache manifest, BuildKit's. */
export const CACHE_CONFIG_TYPE = 'application/vnd.buildkit.cacheconfig.v0';

/** Largest config that is read or written, in bytes: some 40 000 steps. */
export const MAX_CACHE_CONFIG_BYTES: number = 8 * 1024 * 1024;

/** Most layers of a cache: as many as its manifest may name. */
export const MAX_CACHE_LAYERS = 1000;

/** The last moment of the year 9999, in ms since the epoch. */
export const MAX_TIME = 253_402_300_799_999;

/** A layer as a cache names it. */
export interface CachedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** What made it. */
  readonly description: string;
  /** It came with an image, whose history tells about it. */
  readonly fromImage: boolean;
}

/** A layer with what lies beneath it: the number of a layer, or -1. */
export interface ChainedLayer {
  /** Undefined where the cache does not say what tsbuild needs to know: BuildKit's own caches do not. */
  readonly layer: CachedLayer | undefined;
  readonly parent: number;
}

/** One way in which an input of a record may be known. */
export interface CacheInput {
  readonly selector?: Digest;
  /** Number of the record that the input is the result of. */
  readonly link: number;
}

/** A result: the number of its top layer, which stands on its parents, or the numbers of all its layers, bottom first. */
export interface CachedResult {
  readonly layers: number | readonly number[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** A cache key, and its results if there are any. Without inputs it is a leaf of the key graph. */
export interface RemoteRecord {
  /** `leafKey(op, output)` as a digest. */
  readonly digest: Digest;
  /** Per input, what it may be: any of these. */
  readonly inputs: readonly (readonly CacheInput[])[];
  readonly results: readonly CachedResult[];
}

/** A cache that is kept elsewhere: the key graph with the layers of its results. */
export interface RemoteConfig {
  readonly layers: readonly ChainedLayer[];
  readonly records: readonly RemoteRecord[];
}

/** The config of a cache manifest as BuildKit writes it, with what tsbuild needs besides among the annotations. */
export function encodeRemoteConfig(config: RemoteConfig): Buffer {
  const layers = config.layers.map(({ layer, parent }) => ({
    blob: layer?.descriptor.digest,
    parent,
    annotations: layer && {
      mediaType: layer.descriptor.mediaType,
      diffID: layer.diffId,
      size: layer.descriptor.size,
      createdAt: formatTime(layer.createdAt),
      description: layer.description,
      ...(layer.fromImage ? { fromImage: true } : {}),
    },
  }));
  const records = config.records.map(({ digest, inputs, results }) => {
    const tops = results.flatMap(({ layers, createdAt }) =>
      typeof layers === 'number' ? { layer: layers, createdAt: formatTime(createdAt) } : [],
    );
    const chains = results.flatMap(({ layers, createdAt }) =>
      typeof layers === 'number' ? [] : { layers, createdAt: formatTime(createdAt) },
    );
    return {
      digest,
      ...(tops.length === 0 ? {} : { layers: tops }),
      ...(chains.length === 0 ? {} : { chains }),
      ...(inputs.length === 0 ? {} : { inputs }),
    };
  });
  return Buffer.from(JSON.stringify({ layers, records }));
}

function formatTime(ms: number): string {
  return new Date(Math.min(Math.max(0, ms), MAX_TIME)).toISOString();
}

/**
 * Reads the config of a cache manifest, which anybody may have written: every number is looked at, and neither layers nor
 * records may stand on themselves.
 * @param blobs the descriptors of the manifest, which the layers must be among
 * @param what names the document in messages
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeRemoteConfig(
  bytes: Uint8Array,
  blobs: ReadonlyMap<Digest, Descriptor>,
  what: string,
): RemoteConfig {
  const guard = guardFor(what);
  const document = guard.object(parseStrictJson(bytes, { what, maxBytes: MAX_CACHE_CONFIG_BYTES }), '');
  const rawLayers = guard.list(document['layers'] ?? [], 'layers', MAX_CACHE_LAYERS);
  const rawRecords = guard.list(document['records'] ?? [], 'records');
  const layers = rawLayers.map((value, at) => decodeLayer(guard, value, `layers[${at}]`, rawLayers.length, blobs));
  const records = decodeRecords(guard, rawRecords, rawLayers.length);
  if (isCyclic(layers.map(({ parent }) => (parent < 0 ? [] : [parent]))))
    throw guard.fail('layers', 'has a layer that stands on itself');
  return { layers, records };
}

/**
 * Reads the records of a cache.
 * @param layers how many layers they may name
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeRecords(guard: Guard, values: readonly unknown[], layers: number): readonly RemoteRecord[] {
  const decoder = { guard, layers, records: values.length };
  const records = values.map((value, at) => decodeRecord(decoder, value, `records[${at}]`));
  if (isCyclic(records.map(({ inputs }) => inputs.flatMap((links) => links.map(({ link }) => link)))))
    throw guard.fail('records', 'has a record that is made from itself');
  return records;
}

/** The layers of a result, bottom first; undefined when one of them cannot be used. */
export function layersOfResult({ layers }: RemoteConfig, result: CachedResult): readonly CachedLayer[] | undefined {
  const numbers: number[] = [];
  if (typeof result.layers === 'number') {
    for (let at = result.layers; at >= 0; at = layers[at]?.parent ?? -1) numbers.push(at);
    numbers.reverse();
  } else numbers.push(...result.layers);
  const found = numbers.map((at) => layers[at]?.layer).filter((layer) => layer !== undefined);
  return found.length === numbers.length ? found : undefined;
}

/** A layer of the cache with its blob. Nothing of it was fetched. */
function decodeLayer(
  guard: Guard,
  value: unknown,
  path: string,
  count: number,
  blobs: ReadonlyMap<Digest, Descriptor>,
): ChainedLayer {
  const { blob, parent, annotations } = guard.object(value, path);
  const digest = digestAt(guard, blob, `${path}.blob`);
  const descriptor = blobs.get(digest);
  if (descriptor === undefined) throw guard.fail(`${path}.blob`, 'is not among the blobs of the manifest');
  const own = annotations ?? undefined;
  return {
    layer: own === undefined ? undefined : decodeAnnotations(guard, guard.object(own, path), path, descriptor),
    parent: indexAt(guard, parent, `${path}.parent`, count, -1),
  };
}

/**
 * What BuildKit notes of a layer.
 * @returns undefined for a layer that cannot be used
 */
function decodeAnnotations(guard: Guard, own: Json, path: string, blob: Descriptor): CachedLayer | undefined {
  const { diffID, createdAt, description, size, mediaType, fromImage } = own;
  if (typeof description !== 'string' || diffID === undefined || diffID === '') return undefined;
  if (size !== blob.size || mediaType !== blob.mediaType)
    throw guard.fail(`${path}.annotations`, 'does not agree with the manifest');
  if (compressionOf(blob.mediaType) === undefined) return undefined;
  return {
    descriptor: { mediaType: blob.mediaType, digest: blob.digest, size: blob.size },
    diffId: digestAt(guard, diffID, `${path}.annotations.diffID`),
    createdAt: timeAt(guard, createdAt, `${path}.annotations.createdAt`),
    description,
    fromImage: fromImage === true,
  };
}

interface Decoder {
  readonly guard: Guard;
  /** How many there are. */
  readonly layers: number;
  readonly records: number;
}

function decodeRecord({ guard, layers, records }: Decoder, value: unknown, path: string): RemoteRecord {
  const record = guard.object(value, path);
  const listOf = (key: string): readonly unknown[] => guard.list(record[key] ?? [], `${path}.${key}`);
  const inputs = listOf('inputs').map((links, input) =>
    guard.list(links ?? [], `${path}.inputs[${input}]`).map((link, at): CacheInput => {
      const place = `${path}.inputs[${input}][${at}]`;
      const { selector, link: to } = guard.object(link, place);
      const number = indexAt(guard, to, `${place}.link`, records);
      return selector === undefined || selector === ''
        ? { link: number }
        : { selector: digestAt(guard, selector, `${place}.selector`), link: number };
    }),
  );
  const tops = listOf('layers').map((top, at): CachedResult => {
    const place = `${path}.layers[${at}]`;
    const { layer, createdAt } = guard.object(top, place);
    return {
      layers: indexAt(guard, layer, `${place}.layer`, layers),
      createdAt: timeAt(guard, createdAt, `${place}.createdAt`),
    };
  });
  const chains = listOf('chains').map((chain, at): CachedResult => {
    const place = `${path}.chains[${at}]`;
    const { layers: numbers, createdAt } = guard.object(chain, place);
    return {
      layers: guard
        .list(numbers ?? [], `${place}.layers`, MAX_CACHE_LAYERS)
        .map((number, at) => indexAt(guard, number, `${place}.layers[${at}]`, layers)),
      createdAt: timeAt(guard, createdAt, `${place}.createdAt`),
    };
  });
  return { digest: digestAt(guard, record['digest'], `${path}.digest`), inputs, results: [...tops, ...chains] };
}

/** A digest at a place of the document. */
function digestAt(guard: Guard, value: unknown, path: string): Digest {
  if (typeof value === 'string' && isDigest(value)) return value;
  throw guard.fail(path, 'is not a sha256 digest');
}

/** A number that names an entry of a list, checked against its length. */
function indexAt(guard: Guard, value: unknown, path: string, count: number, least = 0): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value < count) return value;
  throw guard.fail(path, `is not a number from ${least} to ${count - 1}`);
}

/** Go's zero time, and no time at all, are before everything. */
function timeAt(guard: Guard, value: unknown, path: string): number {
  if (value === undefined || value === null) return 0;
  const time = typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw guard.fail(path, 'is not a time');
  return Math.min(Math.max(0, time), MAX_TIME);
}

/** Whether a graph, given by the targets of each node, has a cycle. Does not recurse: hostile graphs are deep. */
function isCyclic(targets: readonly (readonly number[])[]): boolean {
  const waiting = targets.map(() => 0);
  for (const to of targets.flat()) waiting[to] = (waiting[to] ?? 0) + 1;
  const free = [...waiting.keys()].filter((node) => waiting[node] === 0);
  let seen = 0;
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    seen++;
    for (const to of targets[node] ?? []) if ((waiting[to] = (waiting[to] ?? 0) - 1) === 0) free.push(to);
  }
  return seen < targets.length;
}
