import type { FactTable, Store } from '../store/index.ts';

const KIND = 'explain';
/** Characters of a value that are kept; longer ones are compared by what is kept and their length. */
const MAX_VALUE = 2000;

/** Everything that a step's cache key is made of, by name: `command`, `env PATH`, `input 0 src/main.ts`; values are texts or digests. */
export type KeyParts = Readonly<Record<string, string>>;

/** One part that is not what it was. An absent side means that the part came or went. */
export interface KeyDifference {
  readonly part: string;
  readonly before?: string;
  readonly after?: string;
}

/** Remembers what the keys of steps were made of, so that a miss can be explained by what differs. */
export class KeyHistory {
  readonly #facts: FactTable;

  constructor(store: Store) {
    this.#facts = store.facts;
  }

  /**
   * What differs from the last time that the step ran, in order of the parts' names.
   * @param step names the step across builds, e.g. Dockerfile, target, platform and position
   * @returns undefined when the step is not known
   */
  compare(step: string, parts: KeyParts): readonly KeyDifference[] | undefined {
    const known = this.#facts.get(KIND, step)?.value;
    if (typeof known !== 'object' || known === null) return undefined;
    const before = known as KeyParts;
    const after = shorten(parts);
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names
      .filter((part) => before[part] !== after[part])
      .map((part) => ({
        part,
        ...(before[part] === undefined ? {} : { before: before[part] }),
        ...(after[part] === undefined ? {} : { after: after[part] }),
      }));
  }

  remember(step: string, parts: KeyParts): void {
    this.#facts.put(KIND, step, shorten(parts));
  }
}

function shorten(parts: KeyParts): KeyParts {
  return Object.fromEntries(
    Object.entries(parts).map(([name, value]) => [
      name,
      value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}… (${value.length} characters)` : value,
    ]),
  );
}
