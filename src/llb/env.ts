/**
 * Environment of a state, immutable. Setting a variable again moves it to the end, as in BuildKit's client, because the
 * order is part of the digest of every step.
 */
export class EnvList {
  static readonly empty: EnvList = new EnvList(new Map());

  readonly #values: ReadonlyMap<string, string>;

  private constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  static from(entries: Iterable<readonly [string, string]>): EnvList {
    let list = EnvList.empty;
    for (const [key, value] of entries) list = list.set(key, value);
    return list;
  }

  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** With the variable at the end of the list, as Go's client has it. */
  set(key: string, value: string): EnvList {
    const values = new Map(this.#values);
    values.delete(key);
    return new EnvList(values.set(key, value));
  }

  delete(key: string): EnvList {
    if (!this.#values.has(key)) return this;
    const values = new Map(this.#values);
    values.delete(key);
    return new EnvList(values);
  }

  keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries();
  }

  /** `KEY=value` strings in order. */
  toArray(): readonly string[] {
    return [...this.#values].map(([key, value]) => `${key}=${value}`);
  }
}
