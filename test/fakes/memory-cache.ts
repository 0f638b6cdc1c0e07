import type { CacheRecord, CacheSource, KeyLink } from '../../src/solver/index.ts';

/** A source of cached results that lives as long as its process. */
export class MemoryCache<R> implements Required<Omit<CacheSource<R>, 'leafLinks'>> {
  readonly id: string;
  readonly #now: () => number;
  readonly #links = new Map<string, Set<string>>();
  readonly #records = new Map<string, CacheRecord[]>();
  readonly #results = new Map<string, { readonly node: string; readonly result: R }>();
  #last = 0;

  constructor(options: { readonly id: string; readonly now: () => number }) {
    this.id = options.id;
    this.#now = options.now;
  }

  /** Ids of all records, oldest first. */
  get recordIds(): string[] {
    return [...this.#results.keys()];
  }

  query(links: readonly KeyLink[]): string[] {
    const nodes = new Set<string>();
    for (const link of links) {
      for (const node of this.#links.get(nameOf(link)) ?? []) nodes.add(node);
    }
    return [...nodes];
  }

  records(node: string): CacheRecord[] {
    return [...(this.#records.get(node) ?? [])];
  }

  async load(_task: unknown, record: CacheRecord): Promise<R> {
    const found = this.#results.get(record.id);
    if (found === undefined) throw new Error(`Cannot find record "${record.id}"`);
    return Promise.resolve(found.result);
  }

  link(node: string, links: readonly KeyLink[]): void {
    for (const link of links) {
      const name = nameOf(link);
      const nodes = this.#links.get(name);
      if (nodes === undefined) this.#links.set(name, new Set([node]));
      else nodes.add(node);
    }
  }

  save(node: string, result: R): CacheRecord {
    const record: CacheRecord = { id: String(++this.#last), createdAt: this.#now() };
    const records = this.#records.get(node);
    if (records === undefined) this.#records.set(node, [record]);
    else records.unshift(record);
    this.#results.set(record.id, { node, result });
    return record;
  }

  drop(record: CacheRecord): void {
    const found = this.#results.get(record.id);
    if (found === undefined) return;
    this.#results.delete(record.id);
    const left = (this.#records.get(found.node) ?? []).filter(({ id }) => id !== record.id);
    this.#records.set(found.node, left);
  }
}

/** Two links are the same when all of this is. */
function nameOf({ op, output, input, selector, from }: KeyLink): string {
  return `${from} ${input} ${output} ${op} ${selector ?? ''}`;
}
