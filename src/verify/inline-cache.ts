import { INLINE_CACHE_KEY } from '../image/index.ts';

/** A record as `INLINE_CACHE_KEY` has it, before anything of it is known to be so. */
type Record_ = Readonly<Record<string, unknown>>;

/**
 * The cache within an image in a form that can be compared: its records by their keys, for their places shift with every one that is added.
 * What is none is given back as it is.
 */
export function comparableInlineCache(value: unknown): unknown {
  const records = decode(value);
  if (!Array.isArray(records)) return value;
  const list = records.map((record): Record_ => (isRecord(record) ? record : { record }));
  const keyAt = (place: unknown): unknown => list[Number(place)]?.['digest'] ?? place;
  const entries = list.map(({ digest, inputs, ...rest }) => {
    const named = mapList(inputs, (links) =>
      mapList(links, (link) => (isRecord(link) ? { ...link, link: keyAt(link['link']) } : link)),
    );
    return { key: String(digest), record: { ...rest, ...(named === undefined ? {} : { inputs: named }) } };
  });
  // A key may have several records.
  const byKey = Map.groupBy(entries, ({ key }) => key);
  return Object.fromEntries(
    [...byKey].map(([key, group]) => {
      const texts = group.map(({ record }) => record).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
      return [key, texts.length === 1 ? texts[0] : texts];
    }),
  );
}

/** A config without the cache within it, and that in its comparable form. */
export function splitInlineCache(config: Readonly<Record<string, unknown>>): {
  readonly config: unknown;
  readonly cache: unknown;
} {
  const { [INLINE_CACHE_KEY]: cache, ...rest } = config;
  return { config: rest, cache: comparableInlineCache(cache) };
}

function decode(value: unknown): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    return JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function mapList(value: unknown, change: (item: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(change) : value;
}

function isRecord(value: unknown): value is Record_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
