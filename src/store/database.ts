import fs from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { messageOf, TsbuildError } from '../util/index.ts';
import { tryKernelLock } from './kernel-lock.ts';
import { makeReadable, openLayout, type StoreHeader, type StoreLayout, writeHeader } from './layout.ts';
import { SCHEMA, SCHEMA_VERSION } from './schema.ts';
import { isDamage, openSqlite, primaryCode, SQLITE_BUSY, sqliteError } from './sqlite.ts';
import type { StoreWarning } from './types.ts';

/** ms that SQLite waits for a writer of another process; transactions here last a few ms. */
const BUSY_TIMEOUT = 10_000;
/** SQLITE_BUSY_SNAPSHOT and SQLITE_BUSY_RECOVERY come back without waiting: tried again so many times, 5 ms apart. */
const BUSY_RETRIES = 200;

/** Bytes of a log that the next process reads through in less than 1 ms. */
const SMALL_LOG = 512 * 1024;

/** 256 KiB of SQLite's pages: less is not worth writing the file anew. */
const MIN_FREE_PAGES = 64;

/** A row by the names of its columns. */
export type Row = Record<string, SQLOutputValue>;

/** A statement that is prepared when first used, and again after the index was replaced. */
export interface Statement {
  get(...values: SQLInputValue[]): Row | undefined;
  all(...values: SQLInputValue[]): Row[];
  /** Number of rows that changed. */
  run(...values: SQLInputValue[]): number;
}

/**
 * The index: SQLite in WAL mode. A damaged index is never repaired in place and never renamed, since another process may
 * have it open (SQLite, "How To Corrupt", 2.4): `store.json` is pointed at a new file and what can be found again is put there.
 */
export class Database {
  readonly #layout: StoreLayout;
  readonly #warn: (warning: StoreWarning) => void;
  readonly #statements = new Map<string, StatementSync>();
  readonly #onRebuild: (() => void)[] = [];
  readonly #damagedTables = new Set<string>();
  #file: string;
  #db: DatabaseSync | undefined;
  #depth = 0;
  /** Whether the schema was just made, so that `onRebuild` must fill it. */
  #fresh = false;

  constructor(layout: StoreLayout, header: StoreHeader, warn: (warning: StoreWarning) => void) {
    this.#layout = layout;
    this.#warn = warn;
    this.#file = header.index;
    try {
      this.#open();
    } catch (error) {
      if (!isDamaged(error) && isUsableFile(this.path)) throw sqliteError(error, this.path);
      this.#replace(error);
    }
  }

  /** Changes when the index is replaced. */
  get path(): string {
    return join(this.#layout.root, this.#file);
  }

  /** Adds what fills a new index; it runs at once if this one is new. */
  onRebuild(fill: () => void): void {
    this.#onRebuild.push(fill);
    if (this.#fresh) this.transaction(fill);
  }

  prepare(sql: string): Statement {
    const statement = (): StatementSync => {
      let prepared = this.#statements.get(sql);
      if (!prepared) {
        prepared = this.#handle.prepare(sql);
        this.#statements.set(sql, prepared);
      }
      return prepared;
    };
    return {
      get: (...values) => this.#guard(() => statement().get(...values)),
      all: (...values) => this.#guard(() => statement().all(...values)),
      run: (...values) => this.#guard(() => Number(statement().run(...values).changes)),
    };
  }

  /** Statements without parameters and results. */
  exec(sql: string): void {
    this.#guard(() => this.#handle.exec(sql));
  }

  /**
   * Runs `body` in one write transaction; it may run twice. Within another transaction it joins that one.
   * @param durable waits until the disk has it, for deletions that must not come back after a power cut
   */
  transaction<T>(body: () => T, options: { readonly durable?: boolean } = {}): T {
    if (this.#depth > 0) return body();
    return this.#guard(() => {
      const db = this.#handle;
      if (options.durable) db.exec('PRAGMA synchronous = FULL');
      this.#retryBusy(() => db.exec('BEGIN IMMEDIATE'));
      this.#depth++;
      try {
        const result = body();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        if (db.isOpen && db.isTransaction) db.exec('ROLLBACK');
        throw error;
      } finally {
        this.#depth--;
        if (options.durable && db.isOpen) db.exec('PRAGMA synchronous = NORMAL');
      }
    });
  }

  /** Tells, once for each table, that a row is not what was written into it. The caller takes it out. */
  damagedRow(table: string, key: string): void {
    if (this.#damagedTables.has(table)) return;
    this.#damagedTables.add(table);
    this.#warn({
      code: 'index-row-damaged',
      message: `The store's index has a damaged row (${table}, ${JSON.stringify(key)}): it is taken out, what it told is found out again`,
    });
  }

  /** What SQLite finds wrong with the file; empty when nothing. */
  integrity(): readonly string[] {
    try {
      const rows = this.#handle.prepare('PRAGMA integrity_check(20)').all();
      return rows.map((row) => String(row['integrity_check'])).filter((text) => text !== 'ok');
    } catch (error) {
      return [messageOf(error)];
    }
  }

  /** Gives space back to the file system when a good part of the file has become free. That it cannot now is no matter. */
  shrink(): void {
    try {
      const number = (name: string): number => Number(this.#handle.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
      const [free, pages] = [number('freelist_count'), number('page_count')];
      if (free < MIN_FREE_PAGES || free * 4 < pages) return;
      this.#handle.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Others are at it, or the disk is full: the pages are used again.
    }
  }

  /** Gives up this index for a new one. */
  rebuild(): void {
    this.#replace(undefined);
  }

  close(): void {
    this.#statements.clear();
    this.#db?.close();
    this.#db = undefined;
  }

  /** Closes it unless its log is small: then the end of this process does, see `StoreOptions.leavesIndex`. */
  leave(): void {
    const log = fs.statSync(`${this.path}-wal`, { throwIfNoEntry: false });
    if (log === undefined || log.size > SMALL_LOG) this.close();
  }

  get #handle(): DatabaseSync {
    if (!this.#db) throw new TsbuildError('TSB_INTERNAL', 'Cannot use the store after it was closed');
    return this.#db;
  }

  #open(): void {
    // One that its owner cannot read would be given up, and lie beside the new one.
    makeReadable(this.path);
    const db = openSqlite(this.path, BUSY_TIMEOUT);
    try {
      const version = this.#retryBusy(() => {
        // synchronous NORMAL: a power cut may undo the last transactions, but never damages the file.
        db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
        return db.prepare('PRAGMA user_version').get()?.['user_version'];
      });
      this.#fresh = version === 0 && this.#retryBusy(() => makeSchema(db));
      // Of another tsbuild, or damaged: of no use either way. Images and blobs are found again.
      if (version !== 0 && version !== SCHEMA_VERSION) throw new ForeignIndexError(Number(version));
    } catch (error) {
      db.close();
      throw error;
    }
    this.#db = db;
  }

  /**
   * Runs `body`, and once more on a new index when this one turns out to be damaged. Within a transaction the
   * outermost call does it.
   */
  #guard<T>(body: () => T): T {
    if (this.#depth > 0) return body();
    try {
      return this.#retryBusy(body);
    } catch (error) {
      if (!isDamaged(error)) throw sqliteError(error, this.path);
      this.#replace(error);
      return body();
    }
  }

  /** SQLite waits for writers by itself, but not in every case; transactions last a few ms, so waiting is right. */
  #retryBusy<T>(body: () => T): T {
    for (let attempt = 0; ; attempt++) {
      try {
        return body();
      } catch (error) {
        if (primaryCode(error) !== SQLITE_BUSY || attempt >= BUSY_RETRIES) throw error;
        sleep(5);
      }
    }
  }

  /** Switches to a new index file, or to the one that another process switched to before us. */
  #replace(cause: unknown): void {
    const damaged = this.#file;
    this.close();
    const lock = this.#waitForLock();
    try {
      const current = openLayout(this.#layout).index;
      if (current !== damaged) {
        this.#file = current;
        try {
          this.#open();
          return;
        } catch (error) {
          if (!isDamaged(error)) throw sqliteError(error, this.path);
        }
      }
      this.#file = freeName(this.#layout.root);
      this.#open();
      writeHeader(this.#layout, { index: this.#file });
    } finally {
      lock.release();
    }
    this.#warn({
      code: 'index-rebuilt',
      message: `The store's index "${damaged}" ${whyReplaced(cause)}: a new one was made from the files, cached steps will run again`,
    });
    for (const fill of this.#onRebuild) this.transaction(fill);
  }

  /** Only one process makes the new index; the others wait and use that. */
  #waitForLock(): { release(): void } {
    for (;;) {
      const lock = tryKernelLock(join(this.#layout.locks, 'index'));
      if (typeof lock === 'object') return lock;
      sleep(5);
    }
  }
}

/** SQLite reads the index, but it is not ours. */
class DamagedIndexError extends Error {}

/** SQLite reads the index, but it has the tables of another version. */
class ForeignIndexError extends DamagedIndexError {
  constructor(version: number) {
    super(`it has version ${version}`);
  }
}

function whyReplaced(cause: unknown): string {
  if (cause === undefined) return 'was given up';
  if (cause instanceof ForeignIndexError) return `is of another version of tsbuild (${cause.message})`;
  return `was damaged (${messageOf(cause)})`;
}

function isDamaged(error: unknown): boolean {
  return isDamage(error) || error instanceof DamagedIndexError;
}

/** Whether what stands at `path` is nothing, or a file that this user may use. */
function isUsableFile(path: string): boolean {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (!stat) return true;
  try {
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
    return stat.isFile();
  } catch {
    return false;
  }
}

/** Whether this process made it (another may have been faster). */
function makeSchema(db: DatabaseSync): boolean {
  db.exec('BEGIN IMMEDIATE');
  try {
    const made = db.prepare('PRAGMA user_version').get()?.['user_version'] === 0;
    if (made && db.prepare('SELECT name FROM sqlite_schema').get()) throw new DamagedIndexError('its version is gone');
    if (made) db.exec(`${SCHEMA}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    db.exec('COMMIT');
    return made;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Never a name that was used: a process that still has the old file open must not meet a new one. */
function freeName(root: string): string {
  const taken = fs
    .readdirSync(root)
    .map((name) => /^index-(\d+)\.sqlite/.exec(name)?.[1])
    .map((number) => Number(number ?? 0));
  return `index-${Math.max(0, ...taken) + 1}.sqlite`;
}

/** Blocks this thread. For the short waits inside one index operation only. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
