import { suggest, TsbuildError } from '../../util/index.ts';

/** Whether something of a list is wanted. */
export type ListFilter<Args extends readonly unknown[]> = (...args: Args) => boolean;

/** What a filter of one key does with its value. `bad` makes the error of a value that is none. */
export type FilterKind<Args extends readonly unknown[]> = (
  value: string,
  bad: (why: string) => TsbuildError,
) => ListFilter<Args>;

/**
 * `--filter` of lists and of what is pruned, as docker and podman have them: filters of one key are alternatives, except for labels, which
 * must all be there; of several keys all must hold. `KEY!=VALUE` takes what `KEY=VALUE` leaves out.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseListFilters<Args extends readonly unknown[]>(
  texts: readonly string[],
  kinds: Readonly<Record<string, FilterKind<Args>>>,
  hint: string,
): ListFilter<Args> {
  const groups = new Map<string, ListFilter<Args>[]>();
  for (const text of texts) {
    const bad = (why: string, more = hint): TsbuildError =>
      new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(text)}: ${why}`, { hint: more });
    const [, key, not, value = ''] = /^([^=!]+)(!?)=(.*)$/s.exec(text) ?? [];
    if (key === undefined) throw bad('expected NAME=VALUE');
    const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
    if (kind === undefined) {
      const near = suggest(key, Object.keys(kinds));
      throw bad(`there is no filter ${JSON.stringify(key)}`, near === undefined ? hint : `did you mean "${near}"?`);
    }
    const takes = kind(value, bad);
    // Each label must be there, and nothing that must not; of other keys one is enough.
    const group = key === 'label' || not ? text : key;
    groups.set(group, [...(groups.get(group) ?? []), not ? (...args) => !takes(...args) : takes]);
  }
  return (...args) => [...groups.values()].every((some) => some.some((takes) => takes(...args)));
}

/** `label=NAME` and `label=NAME=VALUE`. @param of gives the labels of what is listed */
export function labelFilter<Args extends readonly unknown[]>(
  of: (...args: Args) => Readonly<Record<string, string>>,
): FilterKind<Args> {
  return (value) => {
    const [name = '', wanted] = value.split(/=(.*)/s);
    return (...args) => {
      const labels = of(...args);
      return Object.hasOwn(labels, name) && (wanted === undefined || labels[name] === wanted);
    };
  };
}

/** The value of a filter that is yes or no. */
export function booleanFilter(value: string, bad: (why: string) => TsbuildError): boolean {
  if (/^(?:true|1)$/i.test(value)) return true;
  if (/^(?:false|0)$/i.test(value)) return false;
  throw bad('expected true or false');
}
