import { idDigits, type ImageListEntry } from '../../exporter/index.ts';
import { parseReference } from '../../image/index.ts';
import { BadPatternError, matchPath } from '../../patterns/index.ts';
import { parseDuration, TsbuildError } from '../../util/index.ts';

/** Whether a list has an image. */
type Accepts = (image: ImageListEntry) => boolean;

/**
 * What `images --filter` says, as docker and podman have it: filters of one key are alternatives, except for labels; of several keys
 * all must hold. `KEY!=VALUE` takes what `KEY=VALUE` leaves out.
 * @param all what `before` and `since` name is among these
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`
 */
export function parseImageFilters(filters: readonly string[], all: readonly ImageListEntry[], now: number): Accepts {
  const byKey = new Map<string, Accepts[]>();
  for (const filter of filters) {
    const [, key = '', not, value = ''] = /^([a-z]+)(!?)=([\s\S]*)$/.exec(filter) ?? [];
    const accepts = filterOf(key, value, all, now);
    if (accepts === undefined)
      throw new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(filter)}`, {
        hint: 'there are reference=PATTERN, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=DURATION|TIME and dangling=true|false, and != for all others',
      });
    // Each label must be there, and nothing that must not; of other keys one is enough.
    const group = key === 'label' || not ? filter : key;
    const one: Accepts = not ? (image) => !accepts(image) : accepts;
    byKey.set(group, [...(byKey.get(group) ?? []), one]);
  }
  return (image) => [...byKey.values()].every((alternatives) => alternatives.some((accepts) => accepts(image)));
}

function filterOf(key: string, value: string, all: readonly ImageListEntry[], now: number): Accepts | undefined {
  const made = (image: ImageListEntry): number => Date.parse(image.created ?? '');
  switch (key) {
    case 'reference':
      return (image) => matchesReference(value, image);
    case 'label': {
      const [name = '', wanted] = value.split(/=(.*)/s);
      return ({ labels = {} }) => Object.hasOwn(labels, name) && (wanted === undefined || labels[name] === wanted);
    }
    case 'before':
    case 'since': {
      const time = made(find(value, all));
      return (image) => (key === 'before' ? made(image) < time : made(image) > time);
    }
    case 'until': {
      const time = /^\d{4}-/.test(value) ? Date.parse(value) : now - parseDuration(value);
      if (Number.isNaN(time)) return undefined;
      return (image) => made(image) < time;
    }
    case 'dangling':
      // All that are listed have a name.
      return /^(true|false|1|0)$/i.test(value) ? () => /^(false|0)$/i.test(value) : undefined;
    default:
      return undefined;
  }
}

/** A pattern of the whole name, of it without the tag, or of what is behind the registry. */
function matchesReference(pattern: string, image: ImageListEntry): boolean {
  const { path } = parseReference(image.name);
  const names = [image.familiar, image.name].flatMap((name) => [name, name.replace(/:[^:/]*$/, '')]);
  try {
    return [...names, path].some((name) => matchPath(pattern, name));
  } catch (error) {
    if (!(error instanceof BadPatternError)) throw error;
    throw new TsbuildError('TSB_USAGE', `Cannot use --filter reference=${pattern}: the pattern is malformed`);
  }
}

function find(text: string, all: readonly ImageListEntry[]): ImageListEntry {
  const digits = idDigits(text);
  const found = all.find(
    ({ name, familiar, id, digest }) =>
      [name, familiar, familiar.replace(/:latest$/, '')].includes(text) ||
      (digits !== undefined && [id, digest].some((each) => each?.startsWith(`sha256:${digits}`))),
  );
  if (found) return found;
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot filter by ${JSON.stringify(text)}: no such image in the local image store`,
  );
}
