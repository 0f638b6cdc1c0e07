import { idDigits, type ImageListEntry } from '../../exporter/index.ts';
import { parseReference } from '../../image/index.ts';
import { BadPatternError, matchPath } from '../../patterns/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { booleanFilter, labelFilter, type ListFilter, parseListFilters } from './list-filters.ts';
import { parseTime } from './time-option.ts';

/** Whether a list has an image. */
type Accepts = ListFilter<readonly [image: ImageListEntry]>;

/**
 * What `images --filter` says.
 * @param all what `before` and `since` name is among these
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`
 */
export function parseImageFilters(filters: readonly string[], all: readonly ImageListEntry[], now: number): Accepts {
  const made = (image: ImageListEntry): number => Date.parse(image.created ?? '');
  return parseListFilters<Parameters<Accepts>>(
    filters,
    {
      reference: (value) => (image) => matchesReference(value, image),
      label: labelFilter(({ labels = {} }) => labels),
      before: (value) => {
        const time = made(find(value, all));
        return (image) => made(image) < time;
      },
      since: (value) => {
        const time = made(find(value, all));
        return (image) => made(image) > time;
      },
      until: (value) => {
        const time = Date.parse(parseTime('--filter until', value, now));
        return (image) => made(image) < time;
      },
      // All that are listed have a name.
      dangling: (value, bad) => {
        const wanted = booleanFilter(value, bad);
        return () => !wanted;
      },
    },
    'there are reference=PATTERN, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=TIME and dangling=true|false, and != for all others',
  );
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
