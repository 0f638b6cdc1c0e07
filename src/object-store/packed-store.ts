import type { Task } from '../events/index.ts';
import { randomHex, sha256, hexOf, TsbuildError } from '../util/index.ts';
import type { Catalog, CatalogObject } from './catalog.ts';
import { Generations } from './generations.ts';
import type { EntryService } from './entries.ts';
import { checkObjectName } from './name.ts';
import { partsOf } from './parts.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';
import { once } from './once.ts';

/** How objects are kept in entries. */
export interface PackedOptions {
  /** Begins the keys of catalogs: what is under another is another store. */
  readonly prefix: string;
  /** Begins the keys of large objects, which stores may share: one that another has written is not sent again. */
  readonly objectPrefix: string;
  /** Nothing small is kept back for longer, in ms: a job that is killed has shared what it did. Default a minute. */
  readonly flushMs?: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onWarning?: (message: string) => void;
}

/** Objects up to this size are packed, in bytes; larger ones are entries of their own. */
const SMALL_BYTES = 256 << 10;
/** So many bytes of small objects are not kept back any longer. */
const FLUSH_BYTES = 4 << 20;
/** Nor is any for so long, in ms, where nothing else is said. */
const FLUSH_MS = 60_000;
/** Services keep what was used within the last week: an entry that was not looked at for so long is asked about before it is counted on, in s. */
const SURE_S = 24 * 3600;

/** An object that was put and is in no catalog yet; null for one that was deleted. */
type Pending = CatalogObject | null;

/**
 * Objects in a service with few, immutable entries. Small ones are gathered in memory, where this store finds them, and become visible to
 * others with `flush`, which writes a catalog of all that is known under the next number; large ones are entries of their own that the
 * catalog names. So a reader needs one request for everything small, and the names of everything else; what is in no catalog is not asked
 * for. Two that write at a time want the same number, which only one gets: the other takes up what that one wrote and tries the next.
 */
export class PackedStore implements ObjectStore, AsyncDisposable {
  readonly id: string;
  readonly requestBudget: number;
  readonly #service: EntryService;
  readonly #options: PackedOptions;
  readonly #generations: Generations;
  readonly #pending = new Map<string, Pending>();
  /** Large objects that are being written, by name: several scopes of a build share a store. */
  readonly #writing = new Map<string, Promise<void>>();
  #pendingBytes = 0;
  #flushedAt: number;
  #flushing: Promise<void> | undefined;

  constructor(service: EntryService, options: PackedOptions) {
    this.id = service.id;
    this.requestBudget = service.requestBudget;
    this.#service = service;
    this.#options = options;
    this.#generations = new Generations(service, options);
    this.#flushedAt = options.now();
  }

  async get(task: Task, name: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    const object = await this.#find(task, name);
    if (object === undefined) return undefined;
    const doing = `Cannot read ${JSON.stringify(name)} in ${this.id}`;
    const { start, length } = options.range ?? { start: 0, length: object.size };
    if (length > options.maxBytes)
      throw new TsbuildError(
        'TSB_DIGEST',
        `${doing}: it has more than the ${options.maxBytes} bytes that are expected at most`,
      );
    if (start + length > object.size) throw new TsbuildError('TSB_DIGEST', `${doing}: it ends early`);
    if (object.at instanceof Uint8Array) return once(object.at.subarray(start, start + length));
    const entry = await this.#service.find(task, object.at.key);
    return entry?.read(task, options);
  }

  async head(task: Task, name: string): Promise<{ readonly size: number } | undefined> {
    const object = await this.#find(task, name);
    if (object === undefined) return undefined;
    return (await this.#isThere(task, object)) ? { size: object.size } : undefined;
  }

  async put(task: Task, name: string, content: ObjectContent, options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    if (content.size <= SMALL_BYTES) return this.#put(task, name, content, options);
    // Of two that write one name at a time either may be the one that stays: the first, since entries cannot be taken back.
    const other = this.#writing.get(name);
    // Not awaited where there is none: whoever comes in that moment would not see this one.
    if (other !== undefined) {
      const isDone = await other.then(
        () => true,
        () => false,
      );
      if (isDone) return undefined;
    }
    const writing = this.#put(task, name, content, options);
    this.#writing.set(name, writing);
    return writing.finally(() => this.#writing.delete(name));
  }

  async #put(task: Task, name: string, content: ObjectContent, { ifAbsent = false }: PutOptions): Promise<void> {
    const doing = `Cannot write ${JSON.stringify(name)} to ${this.id}`;
    const known = await this.#find(task, name);
    if (ifAbsent && known?.size === content.size && (await this.#isThere(task, known))) return;
    const now = this.#seconds();
    const made = { size: content.size, writtenAt: now, usedAt: now };
    if (content.size <= SMALL_BYTES) {
      let bytes: Buffer = Buffer.alloc(0);
      for await (const part of partsOf(task, doing, content, SMALL_BYTES)) bytes = part;
      this.#add(name, { ...made, at: bytes });
    } else {
      const key = await this.#putLarge(task, name, content, known !== undefined);
      this.#add(name, { ...made, at: { key } });
    }
    const isLate = this.#options.now() - this.#flushedAt >= (this.#options.flushMs ?? FLUSH_MS);
    if (this.#pendingBytes > FLUSH_BYTES || isLate) await this.flush(task);
  }

  async *list(task: Task, prefix: string): AsyncGenerator<StoredObject, void, undefined> {
    const { objects } = await this.#generations.current(task);
    const all = new Map<string, Pending>([...objects, ...this.#pending]);
    for (const [name, object] of all)
      if (object !== null && name.startsWith(prefix))
        yield { name, size: object.size, modifiedAt: object.usedAt * 1000 };
  }

  async touch(task: Task, name: string): Promise<void> {
    const object = await this.#find(task, name);
    if (object === undefined || this.#seconds() - object.usedAt < SURE_S) return;
    // To be asked for is what makes an entry young; the catalog remembers that it was.
    if (await this.#isThere(task, object)) this.#add(name, { ...object, usedAt: this.#seconds() });
  }

  async delete(_task: Task, name: string): Promise<void> {
    this.#pending.set(checkObjectName(name), null);
    await Promise.resolve();
  }

  /** Makes what was put visible to others. @throws what the service answers; what was put stays to be written then */
  async flush(task: Task): Promise<void> {
    // What was put while others wait is not in what they wait for.
    while (this.#flushing !== undefined) await this.#flushing.catch(() => undefined);
    if (this.#pending.size === 0) return;
    this.#flushing = this.#flush(task).finally(() => (this.#flushing = undefined));
    await this.#flushing;
  }

  async #flush(task: Task): Promise<void> {
    const written = new Map(this.#pending);
    await this.#generations.write(task, (catalog) => applied(catalog, written));
    for (const [name, object] of written) if (this.#pending.get(name) === object) this.#pending.delete(name);
    this.#pendingBytes = [...this.#pending.values()].reduce((sum, object) => sum + inlineBytes(object), 0);
    this.#flushedAt = this.#options.now();
  }

  /** Flush first: what was put and not flushed is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }

  #add(name: string, object: CatalogObject): void {
    this.#pendingBytes += inlineBytes(object) - inlineBytes(this.#pending.get(name));
    this.#pending.set(name, object);
  }

  async #find(task: Task, name: string): Promise<CatalogObject | undefined> {
    const pending = this.#pending.get(checkObjectName(name));
    if (pending !== undefined) return pending ?? undefined;
    return (await this.#generations.current(task)).objects.get(name);
  }

  /** Whether the entry of a large object is still there: services delete what nobody used for a while. */
  async #isThere(task: Task, { at, usedAt }: CatalogObject): Promise<boolean> {
    if (at instanceof Uint8Array || this.#seconds() - usedAt < SURE_S) return true;
    return (await this.#service.find(task, at.key)) !== undefined;
  }

  /**
   * Another store may have it under its own key already; what is wrong with that one is found when it is read. One that is to be replaced, or
   * whose key is taken by what never became whole, gets a key that nobody else has.
   */
  async #putLarge(task: Task, name: string, content: ObjectContent, replaces: boolean): Promise<string> {
    const key = `${this.#options.objectPrefix}object-${hexOf(sha256(name))}`;
    if (!replaces) {
      if (await this.#service.create(task, key, content)) return key;
      if ((await this.#service.find(task, key)) !== undefined) return key;
    }
    const other = `${key}-${randomHex(4)}`;
    if (await this.#service.create(task, other, content)) return other;
    throw new TsbuildError('TSB_REGISTRY', `Cannot write ${JSON.stringify(name)} to ${this.id}: its key is taken`);
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }
}

/** A catalog with what was put, without what was deleted. */
function applied({ objects, holes }: Catalog, pending: ReadonlyMap<string, Pending>): Catalog {
  const all = new Map(objects);
  for (const [name, object] of pending) {
    if (object === null) all.delete(name);
    else all.set(name, object);
  }
  return { objects: all, holes };
}

function inlineBytes(object: Pending | undefined): number {
  return object && object.at instanceof Uint8Array ? object.size : 0;
}
