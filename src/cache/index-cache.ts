import type { CacheRecord, CacheSource, KeyLink } from '../solver/types.ts';
import type { Lease, Store } from '../store/index.ts';
import { type Digest, messageOf, randomHex, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';

/** A result as it is stored: `layers` (bottom first) and `blobs` are what it needs. The record goes when one of them goes. */
export interface EncodedResult {
  readonly layers: readonly string[];
  readonly blobs?: readonly Digest[];
}

/** How results become rows of the index and come back. */
export interface ResultCodec<R> {
  /** Undefined for a result that means nothing to another process. */
  encode(result: R): EncodedResult | undefined;
  decode(layers: readonly string[]): R;
}

/** What the cache needs of its build. */
export interface IndexCacheOptions<R> {
  readonly codec: ResultCodec<R>;
  /** The build's: holds what loaded results name. */
  readonly lease: Lease;
  /** Whether layers can be used; `store.layers.usable` when absent. A build may know where to fetch what the store lacks. */
  readonly available?: (layers: readonly string[]) => boolean;
  /** Told about a part of the cache that cannot be used, at most once per kind of failure. */
  readonly onWarning?: (message: string) => void;
}

/**
 * The cache of earlier builds on this store: a graph of keys with results at its nodes. Links are collected and written with
 * the next result, or when something is read, in one transaction. Whatever goes wrong in here is a cache miss (security rule 13).
 */
export class IndexCache<R> implements Required<Omit<CacheSource<R>, 'leafLinks'>> {
  readonly id = 'local';
  readonly #store: Store;
  readonly #options: IndexCacheOptions<R>;
  readonly #pending: { node: string; links: readonly KeyLink[] }[] = [];
  readonly #warned = new Set<string>();

  constructor(store: Store, options: IndexCacheOptions<R>) {
    this.#store = store;
    this.#options = options;
    store.beforeClose(() => this.flush());
  }

  query(links: readonly KeyLink[]): readonly string[] {
    return this.#try('look up cache keys', [], () => {
      this.#writeLinks();
      const nodes = new Set<string>();
      for (const link of links) for (const node of this.#store.records.nodes(link)) nodes.add(node);
      return [...nodes];
    });
  }

  records(node: string): readonly CacheRecord[] {
    return this.#try('look up cache records', [], () => this.#store.records.at(node));
  }

  /** The links that lead to a node, in the order of their sources. */
  linksTo(node: string): readonly KeyLink[] {
    return this.#try('look up cache links', [], () => {
      this.#writeLinks();
      return this.#store.records.linksTo(node);
    });
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` when the record, a layer or a blob of it is gone */
  load(_task: Task, record: CacheRecord): Promise<R> {
    return new Promise((resolve) => {
      resolve(this.#load(record.id));
    });
  }

  #load(id: string): R {
    const record = this.#store.records.get(id);
    if (!record) throw gone(id, 'it was removed');
    const { layers, blobs } = record;
    this.#options.lease.hold({ layers, blobs });
    const available = this.#options.available?.(layers) ?? this.#store.layers.usable(layers);
    if (!available) throw gone(id, 'a layer that it names is not there any more');
    if (!blobs.every((digest) => this.#store.blobs.has(digest)))
      throw gone(id, 'a blob that it names is not there any more');
    const result = this.#options.codec.decode(layers);
    this.#store.layers.touch(layers);
    this.#store.records.touch(id);
    return result;
  }

  link(node: string, links: readonly KeyLink[]): void {
    if (links.length > 0) this.#pending.push({ node, links });
  }

  save(node: string, result: R): CacheRecord | undefined {
    const encoded = this.#options.codec.encode(result);
    if (!encoded) return undefined;
    const record: CacheRecord = { id: randomHex(16), createdAt: Math.floor(this.#store.now()) };
    return this.#try('save a result', undefined, () => {
      const { layers, blobs = [] } = encoded;
      this.#store.records.together(() => {
        this.#insertLinks();
        this.#store.records.add({ ...record, node, layers, blobs });
      });
      this.#pending.length = 0;
      return record;
    });
  }

  drop(record: CacheRecord): void {
    this.#try('drop a record', undefined, () => this.#store.records.remove(record.id));
  }

  /** Writes what is buffered; `store.close` does it too. */
  flush(): void {
    this.#try('write the cache', undefined, () => {
      this.#writeLinks();
      this.#store.records.flush();
    });
  }

  #writeLinks(): void {
    if (this.#pending.length === 0) return;
    this.#store.records.together(() => this.#insertLinks());
    this.#pending.length = 0;
  }

  #insertLinks(): void {
    for (const { node, links } of this.#pending) this.#store.records.addLinks(node, links);
  }

  #try<T>(doing: string, otherwise: T, body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!this.#warned.has(doing))
        this.#options.onWarning?.(`Cannot ${doing} in the local cache: ${messageOf(error)}`);
      this.#warned.add(doing);
      return otherwise;
    }
  }
}

function gone(id: string, why: string): TsbuildError {
  return new TsbuildError('TSB_NOT_FOUND', `Cannot use cache record "${id}": ${why}`);
}

/** The cache source of a store's index. One per build, since it holds what it loads in the build's lease. */
export function createIndexCache<R>(store: Store, options: IndexCacheOptions<R>): IndexCache<R> {
  return new IndexCache(store, options);
}
