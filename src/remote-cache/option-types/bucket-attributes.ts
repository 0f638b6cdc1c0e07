import { checkPrefix, objectStoreId, type ObjectStoreRequest } from '../../object-store/index.ts';
import { isTsbuildError, messageOf, parseDuration } from '../../util/index.ts';
import type { CachePlace, StepCacheExport } from '../request.ts';
import { stepExport } from './steps.ts';
import type { CacheAttributes } from './attributes.ts';

/** Attributes of BuildKit's buckets that are about where things are in them. */
export const PREFIX_KEYS: readonly string[] = ['prefix', 'blobs_prefix', 'manifests_prefix', 'name'];

/** How names become keys of a bucket. */
export function keyPrefixes(attributes: CacheAttributes): {
  readonly prefix: string;
  readonly blobsPrefix: string;
  readonly manifestsPrefix: string;
} {
  const prefix = (key: string, fallback: string): string => {
    try {
      return checkPrefix(key, attributes.text(key) ?? fallback);
    } catch (error) {
      throw attributes.fail(messageOf(error), isTsbuildError(error) ? error.hint : undefined);
    }
  };
  const prefixes = {
    prefix: prefix('prefix', ''),
    blobsPrefix: prefix('blobs_prefix', 'blobs/'),
    manifestsPrefix: prefix('manifests_prefix', 'manifests/'),
  };
  if (prefixes.blobsPrefix === prefixes.manifestsPrefix)
    throw attributes.fail('"blobs_prefix" and "manifests_prefix" are the same');
  return prefixes;
}

/** Scopes: the names of BuildKit's manifests, with `;` between them; [undefined] where none is given. */
export function scopesOf(attributes: CacheAttributes, key: string): readonly [string | undefined, ...string[]] {
  const text = attributes.text(key);
  const [first, ...others] = (text ?? '').split(';').map((name) => name.trim());
  if (text !== undefined && [first, ...others].some((name) => name === undefined || !/^[\w./-]{1,100}$/.test(name)))
    throw attributes.fail(
      `"${key}" is ${JSON.stringify(text)}, expected names of letters, digits and ._/-, with ";" between them`,
    );
  return [first === '' ? undefined : first, ...others];
}

/** A duration in ms, as Go has it. */
export function durationOf(attributes: CacheAttributes, key: string): number | undefined {
  const text = attributes.text(key);
  if (text === undefined) return undefined;
  try {
    return parseDuration(text);
  } catch {
    throw attributes.fail(`"${key}" is ${JSON.stringify(text)}, expected for example 90s or 24h`);
  }
}

/** A count from 1 on. */
export function countOf(attributes: CacheAttributes, key: string, most: number): number | undefined {
  const text = attributes.text(key);
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text) && Number(text) >= 1 && Number(text) <= most) return Number(text);
  throw attributes.fail(`"${key}" is ${JSON.stringify(text)}, expected a number from 1 to ${most}`);
}

/** The variables of the environment that begin so, which is all that a service is to know of it. */
export function variables(
  attributes: CacheAttributes,
  ...beginnings: readonly string[]
): Readonly<Record<string, string>> {
  const { env } = attributes.surroundings;
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && beginnings.some((start) => entry[0].startsWith(start)),
    ),
  );
}

/** The place that a store of objects is. @throws what `fail` makes for what cannot be a bucket or an address */
export function storePlace(attributes: CacheAttributes, store: ObjectStoreRequest): CachePlace {
  try {
    objectStoreId(store);
  } catch (error) {
    throw attributes.fail(messageOf(error), isTsbuildError(error) ? error.hint : undefined);
  }
  return { type: 'objects', store };
}

/** What services delete that is old is kept young so often, in ms: BuildKit's default. */
const TOUCH_MS = 24 * 3_600_000;

/** A `--cache-to` of a bucket, where rules may delete what is old. */
export function bucketExport(attributes: CacheAttributes, place: CachePlace, scope?: string): StepCacheExport {
  const touchMs = attributes.duration('touch-refresh') ?? durationOf(attributes, 'touch_refresh') ?? TOUCH_MS;
  return { ...stepExport(attributes, place, scope), touchMs };
}
