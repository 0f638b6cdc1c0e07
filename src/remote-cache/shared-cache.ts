import pLimit from 'p-limit';
import { type Task, withinTime } from '../events/index.ts';
import type { Repository } from '../image/index.ts';
import type { CacheRecord, KeyLink, NamedCache, NamedInput, NamedNode } from '../solver/index.ts';
import { type Digest, isTsbuildError, messageOf, messageWithHint, TsbuildError } from '../util/index.ts';
import type { CachedLayer } from './remote-config.ts';
import { findTreeSummary } from './trees/find.ts';
import { stepNames } from './steps/names.ts';
import type { StepPlace } from './steps/place.ts';
import type { Policy } from './steps/policy.ts';
import { decodeRecord, type StepRecord } from './steps/record.ts';
import { decodeIndex, type IndexEntry } from './steps/scope-index.ts';
import { openTrusted } from './steps/trusted.ts';

/** Records that are asked for at a time. */
const LOOKUPS = 32;
/** Records whose fault is told one by one. */
const MAX_WARNINGS = 5;
/** Layers that may turn out to be damaged before nothing of the cache is used any more: each costs the build another start. */
const MAX_DAMAGES = 20;

/** Records whose summaries are looked at: each has to be verified. */
const MAX_SUMMARIES = 500;

/** What a shared cache works with. */
export interface SharedCacheOptions<R> {
  readonly place: StepPlace;
  readonly policy: Policy;
  /** Ends what is asked for when nobody can want it any more. */
  readonly task: Task;
  /** How long an answer may take, in milliseconds; 0 for no limit. */
  readonly patienceMs: number;
  /** Makes a result of its layers, bottom first. Nothing is transferred. */
  readonly use: (layers: readonly CachedLayer[], cache: SharedCache<R>) => R;
  readonly onWarning: (message: string) => void;
}

/**
 * The reading side of one scope of a shared cache. Nothing is asked for before a nearer cache had nothing; then everything is whose name
 * is known, in one batch: the scope's index first, and by their names all records that it does not have. A hit is descriptors: bytes come
 * when somebody needs them. What is missing, damaged, forged or late is a miss and a warning, never an error.
 */
export class SharedCache<R> implements NamedCache<R> {
  readonly id: string;
  readonly place: StepPlace;
  readonly #options: SharedCacheOptions<R>;
  readonly #limit = pLimit(LOOKUPS);
  readonly #records = new Map<string, Promise<StepRecord | undefined>>();
  /** Names that were told before the first question. */
  readonly #expected = new Set<string>();
  /** Links from leaves that records have told of, by the record's name. */
  readonly #links = new Map<string, readonly KeyLink[]>();
  readonly #dropped = new Set<string>();
  readonly #damaged = new Set<Digest>();
  readonly #damagedTrees = new Set<Digest>();
  #index: Promise<ReadonlyMap<string, IndexEntry>> | undefined;
  #lookups = 0;
  #damages = 0;
  #warnings = 0;
  #givenUp = false;

  constructor(options: SharedCacheOptions<R>) {
    this.#options = options;
    this.place = options.place;
    this.id = `${options.place.id} (${options.place.scope})`;
  }

  /** How often something of it turned out not to be usable after it was offered. What was solved with it is solved again then. */
  get damages(): number {
    return this.#damages;
  }

  /** Layers that turned out to be damaged where they are kept. */
  get damagedLayers(): ReadonlySet<Digest> {
    return this.#damaged;
  }

  /** Base images whose summaries are there and cannot be used, by chain ID. */
  get damagedTrees(): ReadonlySet<Digest> {
    return this.#damagedTrees;
  }

  /**
   * The summary of a base image's tree. One that is not there, damaged or of nobody who is trusted is none: then files are needed, of which
   * a warning tells.
   */
  async treeSummary(chain: Digest): Promise<Uint8Array | undefined> {
    if (this.#givenUp) return undefined;
    const { place, policy } = this.#options;
    try {
      return await this.#inTime((task) => findTreeSummary(task, place, policy, chain));
    } catch (error) {
      if (!isReachable(error)) this.#giveUp(error);
      else {
        this.#damagedTrees.add(chain);
        this.#options.onWarning(`${messageOf(error)}. The base image is fetched`);
      }
      return undefined;
    }
  }

  /** The repository that has the layers, if it is one. */
  get repository(): Repository | undefined {
    return this.place.repository;
  }

  derive(op: Digest, output: number, inputs: readonly (readonly NamedInput[])[]): readonly string[] {
    return stepNames(op, output, inputs);
  }

  expect(names: readonly string[]): void {
    if (this.#index === undefined) for (const name of names) this.#expected.add(name);
    else for (const name of names) void this.#record(name);
  }

  async node(name: string): Promise<NamedNode | undefined> {
    if (this.#index === undefined) {
      this.#index = this.#loadIndex();
      for (const expected of this.#expected) void this.#record(expected);
      this.#expected.clear();
    }
    const record = await this.#record(name);
    if (record === undefined || this.#givenUp || this.#dropped.has(name)) return undefined;
    const { layers, createdAt, node } = record;
    const isUsable = layers?.every(({ descriptor }) => !this.#damaged.has(descriptor.digest)) ?? false;
    return { records: isUsable ? [{ id: name, createdAt }] : [], names: [node] };
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` when there is no such record, or none with a result */
  async load(_task: Task, { id }: CacheRecord): Promise<R> {
    const { layers } = (await this.#records.get(id)) ?? {};
    if (layers === undefined || this.#givenUp || layers.some(({ descriptor }) => this.#damaged.has(descriptor.digest)))
      throw new TsbuildError('TSB_NOT_FOUND', `Cannot use record ${id} of cache ${this.id}: it has no result`);
    return this.#options.use(layers, this);
  }

  /**
   * What records say of their steps, for who explains why one missed: those of the index, the newest first. Asks for nothing, and is empty when
   * nobody has asked for anything.
   */
  async summaries(): Promise<readonly Uint8Array[]> {
    const entries = [...((await this.#index)?.values() ?? [])].sort((a, b) => b.touchedAt - a.touchedAt);
    return entries.slice(0, MAX_SUMMARIES).flatMap(({ name, envelope }) => {
      const summary = this.#sound(name, envelope, false)?.summary;
      return summary === undefined ? [] : [summary];
    });
  }

  leafLinks(node: string, op: Digest, output: number): readonly KeyLink[] {
    return (this.#links.get(node) ?? []).filter((link) => link.op === op && link.output === output);
  }

  drop({ id }: CacheRecord): void {
    this.#dropped.add(id);
  }

  /** A layer cannot be had, or is not what was said: no record with it is offered any more. */
  damage(error: unknown, { descriptor: { digest } }: CachedLayer): void {
    this.#damages++;
    this.#damaged.add(digest);
    // Who does not answer for one layer will not for the others.
    const isTooMuch = this.#damages >= MAX_DAMAGES || isTsbuildError(error, 'TSB_NETWORK');
    if (isTooMuch) this.#givenUp = true;
    const what = isTooMuch ? 'anything' : `what has layer ${digest}`;
    this.#options.onWarning(`Cannot use ${what} of cache ${this.id}, building without it: ${messageWithHint(error)}`);
  }

  #record(name: string): Promise<StepRecord | undefined> {
    let record = this.#records.get(name);
    if (record === undefined) this.#records.set(name, (record = this.#find(name)));
    return record;
  }

  async #find(name: string): Promise<StepRecord | undefined> {
    if (this.#givenUp) return undefined;
    try {
      const listed = (await this.#index)?.get(name);
      const record =
        (listed && this.#sound(name, listed.envelope, false)) ?? (await this.#limit(() => this.#ask(name)));
      if (record !== undefined) this.#links.set(name, record.links);
      return record;
    } catch (error) {
      this.#giveUp(error);
      return undefined;
    }
  }

  /** Asks for a record by its name. */
  async #ask(name: string): Promise<StepRecord | undefined> {
    const { place } = this.#options;
    // Half of what a service allows is for layers, and for writing.
    if (this.#givenUp || ++this.#lookups > (place.requestBudget ?? Infinity) / 2) return undefined;
    const envelope = await this.#inTime((task) => place.record(task, name)).catch((error: unknown) => {
      // This one is malformed, which says nothing about the others.
      if (!isTsbuildError(error, 'TSB_IMAGE') && !isTsbuildError(error, 'TSB_DIGEST')) throw error;
      this.#warn(name, error);
      return undefined;
    });
    return envelope && this.#sound(name, envelope, true);
  }

  /** The record within an envelope; undefined, with a warning, when that is not what was asked for or of nobody who is trusted. */
  #sound(name: string, bytes: Uint8Array, isLast: boolean): StepRecord | undefined {
    const { place, policy } = this.#options;
    const what = `record ${name} of cache ${this.id}`;
    try {
      const payload = openTrusted(bytes, what, policy.keysFor(place.scope));
      return decodeRecord(payload, { scope: place.scope, name }, what);
    } catch (error) {
      // What the index has of it is not the last word.
      if (isLast) this.#warn(name, error);
      return undefined;
    }
  }

  async #loadIndex(): Promise<ReadonlyMap<string, IndexEntry>> {
    const { place } = this.#options;
    try {
      const bytes = await this.#inTime((task) => place.index(task));
      return bytes === undefined ? new Map() : decodeIndex(bytes, place.scope, `index of cache ${this.id}`);
    } catch (error) {
      // An index that is damaged is none; a place that does not answer is not asked again.
      if (isReachable(error)) this.#options.onWarning(messageOf(error));
      else this.#giveUp(error);
      return new Map();
    }
  }

  /** A cache is there to save time: what does not come in time is done without. */
  #inTime<T>(ask: (task: Task) => Promise<T>): Promise<T> {
    const { task, patienceMs } = this.#options;
    const late = (ms: number): TsbuildError =>
      new TsbuildError(
        'TSB_NETWORK',
        `it did not answer within ${ms / 1000} seconds ($TSBUILD_CACHE_IMPORT_TIMEOUT sets another limit)`,
      );
    return withinTime(task, patienceMs === 0 ? undefined : patienceMs, late, ask);
  }

  #warn(name: string, error: unknown): void {
    this.#warnings++;
    if (this.#warnings <= MAX_WARNINGS) this.#options.onWarning(`${messageOf(error)}. The step is built (${name})`);
    else if (this.#warnings === MAX_WARNINGS + 1)
      this.#options.onWarning(`There is more in cache ${this.id} that cannot be used`);
  }

  #giveUp(error: unknown): void {
    if (this.#givenUp) return;
    this.#givenUp = true;
    if (!this.#options.task.signal.aborted)
      this.#options.onWarning(`Cannot use cache ${this.id}, building without it: ${messageWithHint(error)}`);
  }
}

/** Whether an error is about what was read and not about reaching it. */
function isReachable(error: unknown): boolean {
  return !isTsbuildError(error) || error.code === 'TSB_IMAGE' || error.code === 'TSB_DIGEST';
}
