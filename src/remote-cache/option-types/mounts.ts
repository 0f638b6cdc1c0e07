import type { TravelingMounts } from '../request.ts';
import type { CacheAttributes } from './attributes.ts';

/** Most bytes of one mount where nothing else is said: what a runner can fetch in a minute. */
const MAX_BYTES = 4e9;
/** How long a step waits for one, in ms. */
const PATIENCE_MS = 60_000;
const MAX_ID = 500;

/** All of them, within the usual bounds. */
export const allMounts: TravelingMounts = { ids: 'all', maxBytes: MAX_BYTES, patienceMs: PATIENCE_MS };

/**
 * Values of `mounts` are lists with commas, which options have between their attributes.
 * @param fields of one option; those that are no attributes belong to the `mounts=` before them
 */
export function joinMounts(fields: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const field of fields) {
    const last = joined.at(-1);
    if (last !== undefined && /^mounts=/i.test(last) && !field.includes('='))
      joined[joined.length - 1] = `${last};${field}`;
    else joined.push(field);
  }
  return joined;
}

/** The cache mounts that `mounts=true` or `mounts=ID,ID` stands for; undefined where none travels. */
export function mountsOf(attributes: CacheAttributes): TravelingMounts | undefined {
  const text = attributes.text('mounts');
  const maxBytes = attributes.size('mounts-max-size') ?? MAX_BYTES;
  const patienceMs = attributes.duration('mounts-timeout') ?? PATIENCE_MS;
  if (text === undefined || text === 'false' || text === '0') {
    for (const key of ['mounts-max-size', 'mounts-timeout'])
      if (attributes.text(key) !== undefined)
        throw attributes.fail(`"${key}" is about cache mounts`, 'add mounts=true');
    return undefined;
  }
  if (text === 'true' || text === '1') return { ids: 'all', maxBytes, patienceMs };
  const ids = text.split(/[;,]/).map((id) => id.trim());
  if (ids.some((id) => id === '' || id.length > MAX_ID))
    throw attributes.fail('"mounts" has an id that is empty', 'for example mounts=true, or mounts=npm,/root/.cache');
  return { ids, maxBytes, patienceMs };
}

/**
 * Whether a mount is among those that travel.
 * @param id as graphs have it: behind the namespace of BUILDKIT_CACHE_MOUNT_NS, which is empty for most, and a slash
 */
export function travels({ ids }: TravelingMounts, id: string): boolean {
  return ids === 'all' || ids.some((wanted) => wanted === id || `/${wanted}` === id);
}
