import type { Task } from '../events/index.ts';
import { throwIfCanceled } from '../registry/index.ts';
import { collect, isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';
import { type Catalog, CATALOG_LIMITS, mergeCatalogs, packCatalog, unpackCatalog } from './catalog.ts';
import type { Entry, EntryService } from './entries.ts';
import { once } from './once.ts';
import { pause } from './service.ts';

/** Where catalogs are. */
export interface GenerationsOptions {
  /** Begins all keys. */
  readonly prefix: string;
  readonly onWarning?: (message: string) => void;
}

const EMPTY: Catalog = { objects: new Map(), holes: [] };
/** Numbers that are tried for one catalog: others may write at the same time. */
const MAX_TRIES = 12;
/** How long, and how often, one that is being written by somebody else is waited for, in ms. */
const WAIT_MS = 500;
const WAITS = 4;
const DIGITS = 10;
/** The longest pause between two tries, in ms. */
const MAX_PAUSE_MS = 8000;

/** How long to wait before another number is tried, in ms. */
function backoff(tries: number): number {
  // oxlint-disable-next-line no-restricted-properties -- jobs that were refused together must not come back together
  return Math.random() * Math.min(MAX_PAUSE_MS, WAIT_MS * 2 ** (tries - 1));
}

interface Generation {
  readonly number: number;
  readonly catalog: Catalog;
}

/**
 * The catalogs of a store, each under the next number, none of which is ever written again. To write one is to take its number, which the
 * service gives only once: whoever does not get it takes up what is under it and tries the next, so that nothing that was written is lost.
 * A number whose writer is slow, or died, is a hole: it is left behind, named in the next catalog, and looked at again by who reads that.
 */
export class Generations {
  readonly #service: EntryService;
  readonly #options: GenerationsOptions;
  #current: Promise<Generation> | undefined;

  constructor(service: EntryService, options: GenerationsOptions) {
    this.#service = service;
    this.#options = options;
  }

  /** What is known, as of the first time it was asked for or the last time that it was written. */
  async current(task: Task): Promise<Catalog> {
    return (await this.#load(task)).catalog;
  }

  /** Writes a catalog of what is known and what a change makes of it. @throws TsbuildError `TSB_REGISTRY` where others are faster all the time */
  async write(task: Task, change: (catalog: Catalog) => Catalog): Promise<void> {
    let base = await this.#load(task);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const next = base.number + 1;
      const catalog = change(base.catalog);
      const packed = await packCatalog(catalog);
      const content = { size: packed.length, open: () => once(packed) };
      if (await this.#service.create(task, this.#key(next), content)) {
        this.#current = Promise.resolve({ number: next, catalog });
        return;
      }
      // Those who were refused together would ask for each number together: of sixteen jobs four got none in twelve tries.
      if (tries > 0) await pause(task, backoff(tries));
      base = await this.#after(task, { number: next, catalog: base.catalog });
    }
    throw new TsbuildError(
      'TSB_REGISTRY',
      `Cannot write the catalog of ${this.#service.id}: others write it all the time`,
    );
  }

  /** What to go on from when somebody else has taken a number: the newest of all, which has taken up those before, or else that number. */
  async #after(task: Task, { number, catalog }: Generation): Promise<Generation> {
    const newest = await this.#newest(task);
    if (newest.number >= number) return { number: newest.number, catalog: mergeCatalogs(catalog, newest.catalog) };
    const other = await this.#waitFor(task, number);
    if (other !== undefined) return { number, catalog: mergeCatalogs(catalog, other) };
    return { number, catalog: { ...catalog, holes: [...catalog.holes, number] } };
  }

  /** Whoever asks at the same time waits for one answer; a failure is not kept. */
  async #load(task: Task): Promise<Generation> {
    const loading = (this.#current ??= this.#newest(task));
    try {
      return await loading;
    } catch (error) {
      if (this.#current === loading) this.#current = undefined;
      throw error;
    }
  }

  async #newest(task: Task): Promise<Generation> {
    const prefix = `${this.#options.prefix}catalog-`;
    const entry = await this.#service.newest(task, prefix);
    const digits = entry?.key.slice(prefix.length) ?? '';
    if (entry === undefined || !entry.key.startsWith(prefix) || !/^\d{10}$/.test(digits))
      return { number: 0, catalog: EMPTY };
    let catalog = (await this.#read(task, entry)) ?? EMPTY;
    for (const hole of catalog.holes) {
      const filled = await this.#service.find(task, this.#key(hole));
      const found = filled && (await this.#read(task, filled));
      if (found === undefined) continue;
      const merged = mergeCatalogs(catalog, found);
      catalog = { ...merged, holes: catalog.holes.filter((other) => other !== hole) };
    }
    return { number: Number(digits), catalog };
  }

  /** One that is being written is there in a moment; one whose writer died never is. */
  async #waitFor(task: Task, number: number): Promise<Catalog | undefined> {
    for (let waits = 0; ; waits++) {
      const entry = await this.#service.find(task, this.#key(number));
      if (entry !== undefined) return this.#read(task, entry);
      if (waits === WAITS) return undefined;
      await pause(task, WAIT_MS);
    }
  }

  /** A catalog that is damaged is none: what it named is found to be missing, and made again. */
  async #read(task: Task, entry: Entry): Promise<Catalog | undefined> {
    try {
      const bytes = await entry.read(task, { maxBytes: CATALOG_LIMITS.packed });
      if (bytes === undefined) return undefined;
      return await unpackCatalog(await collect(bytes), `catalog "${entry.key}" of ${this.#service.id}`);
    } catch (error) {
      throwIfCanceled(task);
      if (!isTsbuildError(error, 'TSB_DIGEST')) throw error;
      this.#options.onWarning?.(messageOf(error));
      return undefined;
    }
  }

  #key(number: number): string {
    return `${this.#options.prefix}catalog-${String(number).padStart(DIGITS, '0')}`;
  }
}
