import type { CacheRecord, CacheSource, KeyLink } from '../solver/types.ts';
import { advanceRecords, type Lease, type Statement, type Store } from '../store/index.ts';
import { type Digest, messageOf, type Task, TsbuildError } from '../util/index.ts';

/** A result as it is stored. `layers` and `blobs` are what it needs: the record goes when one of them goes. */
export interface EncodedResult {
  readonly json: string;
  readonly layers: readonly string[];
  readonly blobs?: readonly Digest[];
}

/** How results become rows of the index and come back. */
export interface ResultCodec<R> {
  /** Undefined for a result that means nothing to another process. */
  encode(result: R): EncodedResult | undefined;
  /** Throws when the text is not what `encode` wrote; the record is dropped then. */
  decode(json: string): R;
}

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
  readonly #used = new Map<string, number>();
  readonly #warned = new Set<string>();
  readonly #selectNodes: Statement;
  readonly #selectRecords: Statement;
  readonly #selectLinks: Statement;

  constructor(store: Store, options: IndexCacheOptions<R>) {
    this.#store = store;
    this.#options = options;
    const db = store.database();
    this.#selectNodes = db.prepare(
      'SELECT node FROM links WHERE source = ? AND op = ? AND input = ? AND output = ? AND selector = ?',
    );
    this.#selectRecords = db.prepare(
      'SELECT id, created_at FROM records WHERE node = ? ORDER BY created_at DESC, id DESC',
    );
    this.#selectLinks = db.prepare(
      'SELECT source, op, input, output, selector FROM links WHERE node = ? ORDER BY op, output, input, source, selector',
    );
    store.beforeClose(() => this.flush());
  }

  query(links: readonly KeyLink[]): readonly string[] {
    return this.#try('look up cache keys', [], () => {
      this.#writeLinks();
      const nodes = new Set<string>();
      for (const { from, op, input, output, selector } of links)
        for (const row of this.#selectNodes.all(from, op, input, output, selector ?? ''))
          nodes.add(String(row['node']));
      return [...nodes];
    });
  }

  records(node: string): readonly CacheRecord[] {
    return this.#try('look up cache records', [], () =>
      this.#selectRecords.all(node).map((row) => ({ id: String(row['id']), createdAt: Number(row['created_at']) })),
    );
  }

  /** The links that lead to a node, in the order of their sources. */
  linksTo(node: string): readonly KeyLink[] {
    return this.#try('look up cache links', [], () => {
      this.#writeLinks();
      return this.#selectLinks.all(node).map((row) => ({
        from: String(row['source']),
        op: row['op'] as Digest,
        input: Number(row['input']),
        output: Number(row['output']),
        ...(row['selector'] === '' ? {} : { selector: row['selector'] as Digest }),
      }));
    });
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` when the record, a layer or a blob of it is gone */
  load(_task: Task, record: CacheRecord): Promise<R> {
    return new Promise((resolve) => {
      resolve(this.#load(record.id));
    });
  }

  #load(id: string): R {
    const db = this.#store.database();
    const row = db.prepare('SELECT result FROM records WHERE id = ?').get(id);
    if (!row) throw gone(id, 'it was removed');
    const names = db.prepare('SELECT kind, name FROM record_names WHERE record = ?').all(id);
    const layers = names.filter(({ kind }) => kind === 'layer').map(({ name }) => String(name));
    const blobs = names.filter(({ kind }) => kind === 'blob').map(({ name }) => name as Digest);
    this.#options.lease.hold({ layers, blobs });
    const available = this.#options.available?.(layers) ?? this.#store.layers.usable(layers);
    if (!available) throw gone(id, 'a layer that it names is not there any more');
    if (!blobs.every((digest) => this.#store.blobs.has(digest)))
      throw gone(id, 'a blob that it names is not there any more');
    const result = this.#options.codec.decode(String(row['result']));
    this.#store.layers.touch(layers);
    this.#used.set(id, Math.floor(this.#store.now()));
    return result;
  }

  link(node: string, links: readonly KeyLink[]): void {
    if (links.length > 0) this.#pending.push({ node, links });
  }

  save(node: string, result: R): CacheRecord | undefined {
    const encoded = this.#options.codec.encode(result);
    if (!encoded) return undefined;
    const record: CacheRecord = { id: crypto.randomUUID(), createdAt: Math.floor(this.#store.now()) };
    return this.#try('save a result', undefined, () => {
      const db = this.#store.database();
      db.transaction(() => {
        this.#insertLinks();
        db.prepare('INSERT INTO records (id, node, result, created_at, used_at) VALUES (?, ?, ?, ?, ?)').run(
          record.id,
          node,
          encoded.json,
          record.createdAt,
          record.createdAt,
        );
        const insert = db.prepare('INSERT OR IGNORE INTO record_names (record, kind, name) VALUES (?, ?, ?)');
        for (const layer of encoded.layers) insert.run(record.id, 'layer', layer);
        for (const blob of encoded.blobs ?? []) insert.run(record.id, 'blob', blob);
        advanceRecords(db);
      });
      this.#pending.length = 0;
      return record;
    });
  }

  drop(record: CacheRecord): void {
    this.#used.delete(record.id);
    this.#try('drop a record', undefined, () => {
      const db = this.#store.database();
      db.transaction(() => {
        db.prepare('DELETE FROM records WHERE id = ?').run(record.id);
        db.prepare('DELETE FROM record_names WHERE record = ?').run(record.id);
        advanceRecords(db);
      });
    });
  }

  /** Writes what is buffered; `store.close` does it too. */
  flush(): void {
    this.#try('write the cache', undefined, () => {
      this.#writeLinks();
      if (this.#used.size === 0) return;
      const db = this.#store.database();
      const update = db.prepare('UPDATE records SET used_at = ? WHERE id = ?');
      db.transaction(() => {
        for (const [id, usedAt] of this.#used) update.run(usedAt, id);
      });
      this.#used.clear();
    });
  }

  #writeLinks(): void {
    if (this.#pending.length === 0) return;
    this.#store.database().transaction(() => this.#insertLinks());
    this.#pending.length = 0;
  }

  #insertLinks(): void {
    const insert = this.#store
      .database()
      .prepare('INSERT OR IGNORE INTO links (source, op, input, output, selector, node) VALUES (?, ?, ?, ?, ?, ?)');
    for (const { node, links } of this.#pending)
      for (const { from, op, input, output, selector } of links)
        insert.run(from, op, input, output, selector ?? '', node);
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
