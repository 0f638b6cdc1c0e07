import { guardFor, type ImageConfig, INLINE_CACHE_KEY, type Manifest, compressionOf } from '../image/index.ts';
import { type Digest, parseStrictJson, sha256 } from '../util/index.ts';
import {
  type CachedLayer,
  type CachedResult,
  type CacheInput,
  type ChainedLayer,
  decodeRecords,
  layersOfResult,
  MAX_CACHE_LAYERS,
  MAX_TIME,
  type RemoteConfig,
  type RemoteRecord,
} from './remote-config.ts';

/** Largest cache that is written into an image, in bytes before base64: every pull of the image brings it. */
export const MAX_INLINE_CACHE_BYTES: number = 1024 * 1024;

/** What a cache needs of the image that it is in. */
interface ImageDocuments {
  readonly manifest: Pick<Manifest, 'layers'>;
  readonly config: ImageConfig;
}

/**
 * The value of `INLINE_CACHE_KEY`: base64 of the records as a list, whose layers are those of the image by their place. No times are in it,
 * and it is sorted, so that the digest of an image depends on what was built and not on when.
 * @param layers digests of the image's layers, bottom first
 * @returns undefined when no record has a result in the image
 */
export function encodeInlineCache(config: RemoteConfig, layers: readonly Digest[]): string | undefined {
  const records = sorted(config.records);
  if (records.length === 0) return undefined;
  const list = records.map(({ digest, inputs, results }) => {
    const places = results.map((result) =>
      (layersOfResult(config, result) ?? []).map(({ descriptor }) => layers.indexOf(descriptor.digest)),
    );
    const known = places.filter((chain) => chain.length > 0 && !chain.includes(-1));
    // A result that is the image up to some layer goes by that layer.
    const tops = known.filter((chain) => isFromBottom(chain, layers)).map((chain) => ({ layer: chain.length - 1 }));
    const chains = known.filter((chain) => !isFromBottom(chain, layers)).map((chain) => ({ layers: chain }));
    return {
      ...(tops.length === 0 ? {} : { layers: tops }),
      ...(chains.length === 0 ? {} : { chains }),
      digest,
      ...(inputs.length === 0 ? {} : { inputs }),
    };
  });
  return Buffer.from(JSON.stringify(list)).toString('base64');
}

/** Whether these are the first layers of the image. A layer that it has twice is found at its first place. */
function isFromBottom(chain: readonly number[], layers: readonly Digest[]): boolean {
  return chain.every((place, at) => layers[place] === layers[at]);
}

/**
 * Records in an order that depends on nothing but what they say, each once. Their own is that in which the local cache came to know
 * of links, which is another one in every store.
 * @param records inputs before what is made of them
 */
function sorted(records: readonly RemoteRecord[]): readonly RemoteRecord[] {
  const names: string[] = [];
  for (const { digest, inputs, results } of records) {
    const ways = inputs.map((links) => links.map(({ selector, link }) => `${selector ?? ''} ${names[link]}`).sort());
    names.push(`${digest} ${sha256(JSON.stringify([ways, results.map(({ layers }) => layers)]))}`);
  }
  const order = [...new Set(names)].sort();
  const places = new Map(order.map((name, place) => [name, place]));
  const firsts = new Map([...records.entries()].toReversed().map(([at, record]) => [names[at], record]));
  return order.flatMap((name) => {
    const record = firsts.get(name);
    if (record === undefined) return [];
    const inputs = record.inputs.map((links) =>
      links
        .map(({ selector, link }): CacheInput => ({
          ...(selector === undefined ? {} : { selector }),
          link: places.get(names[link] ?? '') ?? 0,
        }))
        .sort((a, b) => a.link - b.link || ((a.selector ?? '') < (b.selector ?? '') ? -1 : 1)),
    );
    return { ...record, inputs };
  });
}

/**
 * Reads the cache within an image, which anybody may have made.
 * @param what names the image's config in messages
 * @returns undefined when the image has none
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeInlineCache(image: ImageDocuments, what: string): RemoteConfig | undefined {
  const value = image.config[INLINE_CACHE_KEY];
  if (value === undefined || value === null) return undefined;
  const guard = guardFor(`cache in the ${what}`);
  if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    throw guard.fail('', 'it is not base64');
  const document = parseStrictJson(Buffer.from(value, 'base64'), { what: guard.what });
  const layers = layersOfImage(image);
  if (layers.length > MAX_CACHE_LAYERS) throw guard.fail('', `the image has more than ${MAX_CACHE_LAYERS} layers`);
  const records = decodeRecords(guard, guard.list(document ?? [], 'records'), layers.length);
  const base = baseOf(records, layers.length);
  return {
    layers: layers.map((layer, at): ChainedLayer => ({
      layer: layer && { ...layer, fromImage: at < base },
      parent: at - 1,
    })),
    records: records.map((record) => ({
      ...record,
      results: record.results.map((result): CachedResult => {
        const createdAt = result.createdAt || (layers[topOf(result)]?.createdAt ?? 0);
        return { ...result, createdAt };
      }),
    })),
  };
}

/** The layers of an image with what its history says of them; undefined for one that cannot be used. */
function layersOfImage({ manifest, config }: ImageDocuments): readonly (CachedLayer | undefined)[] {
  const entries = config.history.filter((entry) => entry.empty_layer !== true);
  return manifest.layers.map(({ mediaType, digest, size }, at): CachedLayer | undefined => {
    const diffId = config.rootfs.diff_ids[at];
    if (diffId === undefined || compressionOf(mediaType) === undefined) return undefined;
    const { created = '', created_by: description = '' } = entries[at] ?? {};
    const time = Date.parse(created);
    const createdAt = Number.isNaN(time) ? 0 : Math.min(Math.max(0, time), MAX_TIME);
    return { descriptor: { mediaType, digest, size }, diffId, createdAt, description, fromImage: false };
  });
}

/**
 * How many layers at the bottom came with the base image. Nothing says so, but sources have no results in a cache, so that no result
 * ends in one of those.
 */
function baseOf(records: readonly RemoteRecord[], count: number): number {
  // Not as arguments of one call: an image may have more of them than that takes.
  return records.flatMap(({ results }) => results.map(topOf)).reduce((least, top) => Math.min(least, top), count);
}

/** The place of a result's top layer. */
function topOf({ layers }: CachedResult): number {
  return typeof layers === 'number' ? layers : (layers.at(-1) ?? 0);
}
