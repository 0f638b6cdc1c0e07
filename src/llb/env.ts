/** Changes that a list keeps beside what it shares with the lists before it: a Dockerfile may set a hundred thousand variables one by one. */
const MAX_CHANGES = 256;

/**
 * Environment of a state, immutable. Setting a variable again moves it to the end, as in BuildKit's client, because the
 * order is part of the digest of every step.
 */
export class EnvList {
  static readonly empty: EnvList = new EnvList(new Map(), new Map());

  /** Shared with others, and never changed. */
  readonly #base: ReadonlyMap<string, string>;
  /** What comes after the base: values, and undefined for what is gone. */
  readonly #changes: ReadonlyMap<string, string | undefined>;

  private constructor(base: ReadonlyMap<string, string>, changes: ReadonlyMap<string, string | undefined>) {
    this.#base = base;
    this.#changes = changes;
  }

  static from(entries: Iterable<readonly [string, string]>): EnvList {
    return EnvList.empty.setAll(entries);
  }

  get(key: string): string | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base.get(key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** With the variable at the end of the list, as Go's client has it. */
  set(key: string, value: string): EnvList {
    return this.setAll([[key, value]]);
  }

  /** With all of these, one after the other. */
  setAll(entries: Iterable<readonly [string, string]>): EnvList {
    const changes = new Map(this.#changes);
    for (const [key, value] of entries) {
      changes.delete(key);
      changes.set(key, value);
    }
    return EnvList.#of(this.#base, changes);
  }

  delete(key: string): EnvList {
    if (!this.has(key)) return this;
    const changes = new Map(this.#changes);
    changes.delete(key);
    return EnvList.#of(this.#base, changes.set(key, undefined));
  }

  keys(): IterableIterator<string> {
    return keysOf(this.entries());
  }

  *entries(): IterableIterator<[string, string]> {
    for (const entry of this.#base) if (!this.#changes.has(entry[0])) yield entry;
    for (const [key, value] of this.#changes) if (value !== undefined) yield [key, value];
  }

  /** `KEY=value` strings in order. */
  toArray(): readonly string[] {
    return Array.from(this.entries(), ([key, value]) => `${key}=${value}`);
  }

  static #of(base: ReadonlyMap<string, string>, changes: ReadonlyMap<string, string | undefined>): EnvList {
    const list = new EnvList(base, changes);
    return changes.size > MAX_CHANGES ? new EnvList(new Map(list.entries()), new Map()) : list;
  }
}

function* keysOf(entries: Iterable<readonly [string, string]>): IterableIterator<string> {
  for (const [key] of entries) yield key;
}
