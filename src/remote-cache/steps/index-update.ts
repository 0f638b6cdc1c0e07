import type { Task } from '../../events/index.ts';
import { isTsbuildError } from '../../util/index.ts';
import { namedLayers } from './named-layers.ts';
import type { StepPlace } from './place.ts';
import { decodeIndex, encodeIndex, type IndexEntry } from './scope-index.ts';

/** A record that an index had when the build began. */
interface Known extends IndexEntry {
  /** It has a result, and does not only lead on. */
  readonly hasLayers: boolean;
}

/**
 * The index of a scope, as a build leaves it: what others have in it, and what the build has used or written. It is read again just before
 * it is written, so that of two builds that end at different times neither loses anything; of two that end at the same moment, one's
 * records are found by their names.
 */
export class IndexUpdate {
  readonly #place: StepPlace;
  readonly #now: () => number;
  readonly #used = new Set<string>();
  readonly #touched = new Set<string>();
  readonly #added = new Map<string, IndexEntry>();
  #before: Promise<ReadonlyMap<string, Known>> | undefined;
  #known: ReadonlyMap<string, Known> = new Map();

  constructor(place: StepPlace, now: () => number) {
    this.#place = place;
    this.#now = now;
  }

  /** What it had when that was first asked. */
  before(task: Task): Promise<ReadonlyMap<string, Known>> {
    return (this.#before ??= this.#read(task).then((entries) => {
      const known = [...entries].map(([name, entry]): [string, Known] => [name, new LazyKnown(entry)]);
      return (this.#known = new Map(known));
    }));
  }

  /** A record of the index is used by this build. */
  use(name: string): void {
    this.#used.add(name);
  }

  /** A record is there that the index does not have as it is. */
  add(name: string, envelope: Uint8Array): void {
    this.#added.set(name, { name, envelope, touchedAt: Math.trunc(this.#now()) });
  }

  /** Entries that are used and were last touched before a moment, in milliseconds since the epoch. */
  usedBefore(moment: number): readonly IndexEntry[] {
    return [...this.#used].flatMap((name) => {
      const entry = this.#known.get(name);
      return entry === undefined || entry.touchedAt >= moment ? [] : [entry];
    });
  }

  /** A record was kept from expiring. */
  touched(name: string): void {
    this.#touched.add(name);
  }

  /**
   * Writes it, if there is anything new to say.
   * @param gone records that are not there any more
   */
  async write(task: Task, gone: readonly string[] = []): Promise<void> {
    if (this.#added.size === 0 && this.#touched.size === 0 && gone.length === 0) return;
    const entries = new Map(await this.#read(task));
    const touchedAt = Math.trunc(this.#now());
    for (const name of this.#touched) {
      const entry = entries.get(name) ?? this.#known.get(name);
      if (entry !== undefined) entries.set(name, { name, envelope: entry.envelope, touchedAt });
    }
    for (const [name, entry] of this.#added) entries.set(name, entry);
    for (const name of gone) entries.delete(name);
    await this.#place.putIndex(task, encodeIndex(this.#place.scope, [...entries.values()]));
  }

  async #read(task: Task): Promise<ReadonlyMap<string, IndexEntry>> {
    const { scope, id } = this.#place;
    try {
      const bytes = await this.#place.index(task);
      return bytes === undefined ? new Map() : decodeIndex(bytes, scope, `index of cache ${id} (${scope})`);
    } catch (error) {
      // One that is damaged is replaced.
      if (isTsbuildError(error) && error.code !== 'TSB_IMAGE' && error.code !== 'TSB_DIGEST') throw error;
      task.signal.throwIfAborted();
      return new Map();
    }
  }
}

/** An index has many records that a build does not ask for. */
class LazyKnown implements Known {
  readonly name: string;
  readonly touchedAt: number;
  readonly envelope: Uint8Array;
  #hasLayers: boolean | undefined;

  constructor({ name, touchedAt, envelope }: IndexEntry) {
    this.name = name;
    this.touchedAt = touchedAt;
    this.envelope = envelope;
  }

  get hasLayers(): boolean {
    return (this.#hasLayers ??= namedLayers(this.envelope) !== undefined);
  }
}
