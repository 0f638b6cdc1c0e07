import fs from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { errnoOf } from '../util/index.ts';
import { storeError } from './write-error.ts';
import { isDamage, openSqlite, primaryCode, SQLITE_BUSY } from './sqlite.ts';

/** Linux's O_PATH, which Node does not name. */
const O_PATH = 0o10000000;

/**
 * Locks that this process holds. Kernel locks belong to the process, so this is state of the process too: without it the
 * garbage collector would close, and thereby release, a lock whose holder keeps no reference to it.
 */
const heldByProcess = new Set<DatabaseSync>();

/**
 * An exclusive lock on a file that the kernel releases when the process dies, however it dies. It is SQLite's (fcntl record
 * locks), because Node has no flock. The file must never be opened by other means in this process: closing any descriptor
 * of it would drop the lock (POSIX), except O_PATH descriptors.
 */
export interface KernelLock {
  readonly path: string;
  /** Releases the lock and removes its file. */
  release(): void;
}

/**
 * Takes the lock if it is free.
 * @param create makes the file if need be; otherwise a missing file gives `missing`
 * @throws TsbuildError `TSB_STORE`, `TSB_NO_SPACE`, `TSB_PERMISSION` when the file cannot be made
 */
export function tryKernelLock(path: string, create = true): KernelLock | 'busy' | 'missing' {
  for (;;) {
    let anchor: number;
    try {
      // Pins the inode, so that its number cannot be taken by another file while we compare.
      anchor = fs.openSync(path, O_PATH | fs.constants.O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw storeError(error, `Cannot lock ${JSON.stringify(path)}`, path);
      if (!create) return 'missing';
      makeEmpty(path);
      continue;
    }
    try {
      const db = fs.fstatSync(anchor).isFile() ? lockOnce(path) : foreign(path);
      if (db === 'busy') return 'busy';
      if (db !== 'damaged') {
        // Whoever held it before removed the file on release: then ours is a lock on a nameless file.
        if (fs.lstatSync(path, { throwIfNoEntry: false })?.ino === fs.fstatSync(anchor).ino) return held(path, db);
        db.close();
      }
    } finally {
      fs.closeSync(anchor);
    }
    if (!create && !fs.existsSync(path)) return 'missing';
  }
}

/** Makes the file that SQLite then locks; it need not open it twice for that. Nobody holds a lock on what is new. */
function makeEmpty(path: string): void {
  try {
    fs.closeSync(fs.openSync(path, 'wx', 0o644));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw storeError(error, `Cannot lock ${JSON.stringify(path)}`, path);
  }
}

function lockOnce(path: string): DatabaseSync | 'busy' | 'damaged' {
  const db = openSqlite(path, 0);
  try {
    // Without a journal file beside it: nothing is ever written.
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    if (primaryCode(error) === SQLITE_BUSY) return 'busy';
    if (!isDamage(error)) throw storeError(error, `Cannot lock ${JSON.stringify(path)}`, path);
    return foreign(path);
  }
}

/** Takes away what is no file of a lock, or has garbage in it: nobody can hold a lock through it. */
function foreign(path: string): 'damaged' {
  fs.rmSync(path, { force: true, recursive: true });
  return 'damaged';
}

function held(path: string, db: DatabaseSync): KernelLock {
  heldByProcess.add(db);
  return {
    path,
    release: () => {
      if (!heldByProcess.delete(db)) return;
      fs.rmSync(path, { force: true });
      db.close();
    },
  };
}
