import fs from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../store/index.ts';
import { isOldEnough, sameStat, type StatIdentity } from '../tree/index.ts';
import { type Digest, hexOf, randomHex, sha256 } from '../util/index.ts';
import { COLUMNS, decodeStatTable, type StatColumns, type StatTable, writeStatTable } from './stat-file.ts';

/** Entries of files that this build did not look at are kept up to so many, for other Dockerfiles of the same context. */
const KEEP_UNSEEN = 50_000;

interface Added {
  readonly path: string;
  readonly stat: StatIdentity;
  readonly digest: Digest;
}

const EMPTY: StatTable = { names: [], numbers: new Float64Array(0), digests: Buffer.alloc(0) };

/**
 * Digests of a context's files by their status, so that an unchanged file is not read again. Paths are relative to the
 * context and opaque here. A file whose change time is so near to now that another change could carry the same stamp is
 * not remembered ("racy git", git's technical documentation).
 */
export class StatCache {
  readonly #file: string;
  readonly #openedMs: number;
  readonly #stored: StatTable;
  readonly #seen: Uint8Array;
  /** What was asked for, in order: positions of stored entries, and added ones. The file is written in this order. */
  readonly #order: (number | Added)[] = [];
  #hasAdded = false;
  /** The added entries by path, once that is needed: when all of a large context is new it never is. */
  #addedByPath: Map<string, Added> | undefined;
  /** Where the next path is expected: a context is walked in much the same order every time. */
  #cursor = 0;
  #positions: Map<string, number> | undefined;

  /** The cache of the context directory at this absolute path; empty when there is none or it is damaged. */
  static open(store: Store, contextPath: string): StatCache {
    const file = join(store.layout.statcache, hexOf(sha256(contextPath)));
    return new StatCache(file, store.now());
  }

  /** @param now ms since the epoch, before any file of the context is looked at */
  constructor(file: string, now: number) {
    this.#file = file;
    this.#openedMs = Math.floor(now);
    this.#stored = readTable(file);
    this.#seen = new Uint8Array(this.#stored.names.length);
  }

  /** The digest of the content, if the file has not changed since it was put. */
  get(path: string, stat: StatIdentity): Digest | undefined {
    const added = this.#hasAdded ? this.#added().get(path) : undefined;
    if (added) return sameStat(added.stat, stat) ? added.digest : undefined;
    const position = this.#find(path);
    if (position === undefined || !this.#matches(position, stat)) return undefined;
    if (this.#seen[position] === 0) this.#order.push(position);
    this.#seen[position] = 1;
    return `sha256:${this.#stored.digests.toString('hex', position * 32, position * 32 + 32)}`;
  }

  /**
   * Remembers a digest, once for each path.
   * @param stat from before the file was read; the caller has checked that it is the same afterwards
   */
  put(path: string, stat: StatIdentity, digest: Digest): void {
    if (path.includes('\0') || !isOldEnough(stat, this.#openedMs)) return;
    const added = { path, stat, digest };
    this.#hasAdded = true;
    this.#order.push(added);
    this.#addedByPath?.set(path, added);
  }

  /** Whether a file was read whose digest was not known. */
  get hasLearned(): boolean {
    return this.#hasAdded;
  }

  /** Writes the file if something was added. Failing to is not an error: the files are hashed again next time. */
  save(): void {
    if (!this.#hasAdded) return;
    const temporary = `${this.#file}.${randomHex(16)}`;
    try {
      const fd = fs.openSync(temporary, 'wx', 0o600);
      try {
        writeStatTable(fd, this.#merged());
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(temporary, this.#file);
    } catch {
      fs.rmSync(temporary, { force: true });
    }
  }

  #added(): Map<string, Added> {
    if (this.#addedByPath) return this.#addedByPath;
    const added = this.#order.filter((entry) => typeof entry === 'object');
    this.#addedByPath = new Map(added.map((entry) => [entry.path, entry]));
    return this.#addedByPath;
  }

  #find(path: string): number | undefined {
    const { names } = this.#stored;
    if (names[this.#cursor] === path) return this.#cursor++;
    if (!this.#positions) {
      this.#positions = new Map();
      for (const [position, name] of names.entries()) this.#positions.set(name, position);
    }
    const position = this.#positions.get(path);
    if (position !== undefined) this.#cursor = position + 1;
    return position;
  }

  #matches(position: number, stat: StatIdentity): boolean {
    const { numbers } = this.#stored;
    const at = position * COLUMNS;
    return (
      numbers[at] === stat.mode &&
      numbers[at + 1] === stat.size &&
      numbers[at + 2] === stat.mtimeSec &&
      numbers[at + 3] === stat.mtimeNsec &&
      numbers[at + 4] === stat.ctimeSec &&
      numbers[at + 5] === stat.ctimeNsec &&
      numbers[at + 6] === stat.inoHigh &&
      numbers[at + 7] === stat.inoLow &&
      numbers[at + 8] === stat.devMajor &&
      numbers[at + 9] === stat.devMinor
    );
  }

  #merged(): StatColumns {
    const stored = this.#stored;
    // Where nothing was stored nothing is replaced.
    const replaced = stored.names.length > 0 ? this.#added() : undefined;
    const entries = this.#order.filter(
      (entry) => typeof entry === 'object' || !replaced?.has(stored.names[entry] ?? ''),
    );
    const unseen = stored.names.length - this.#seen.reduce((total, flag) => total + flag, 0);
    if (unseen <= KEEP_UNSEEN) {
      for (const [position, name] of stored.names.entries())
        if (this.#seen[position] === 0 && !replaced?.has(name)) entries.push(position);
    }
    return {
      count: entries.length,
      names: (from, to) => entries.slice(from, to).map((entry) => this.#nameOf(entry)),
      numbers: (from, to) => this.#numbersOf(entries, from, to),
      digests: (from, to) => this.#digestsOf(entries, from, to),
    };
  }

  #nameOf(entry: number | Added): string {
    return typeof entry === 'object' ? entry.path : (this.#stored.names[entry] ?? '');
  }

  #numbersOf(entries: readonly (number | Added)[], from: number, to: number): Float64Array {
    const numbers = new Float64Array((to - from) * COLUMNS);
    for (let index = from, at = 0; index < to; index++, at += COLUMNS) {
      const entry = entries[index] as number | Added;
      if (typeof entry === 'number') {
        numbers.set(this.#stored.numbers.subarray(entry * COLUMNS, (entry + 1) * COLUMNS), at);
        continue;
      }
      const { stat } = entry;
      // One by one: an array for each file takes longer than all the rest.
      numbers[at] = stat.mode;
      numbers[at + 1] = stat.size;
      numbers[at + 2] = stat.mtimeSec;
      numbers[at + 3] = stat.mtimeNsec;
      numbers[at + 4] = stat.ctimeSec;
      numbers[at + 5] = stat.ctimeNsec;
      numbers[at + 6] = stat.inoHigh;
      numbers[at + 7] = stat.inoLow;
      numbers[at + 8] = stat.devMajor;
      numbers[at + 9] = stat.devMinor;
    }
    return numbers;
  }

  #digestsOf(entries: readonly (number | Added)[], from: number, to: number): Uint8Array {
    const digests = Buffer.alloc((to - from) * 32);
    for (let index = from, at = 0; index < to; index++, at += 32) {
      const entry = entries[index] as number | Added;
      if (typeof entry === 'object') digests.write(hexOf(entry.digest), at, 'hex');
      else this.#stored.digests.copy(digests, at, entry * 32, entry * 32 + 32);
    }
    return digests;
  }
}

function readTable(file: string): StatTable {
  try {
    return decodeStatTable(fs.readFileSync(file)) ?? EMPTY;
  } catch {
    return EMPTY;
  }
}
