import fs from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { dirname, join } from 'node:path';
import { exhausted, messageOf, TsbuildError } from '../util/index.ts';
import { otherUsers } from './holders.ts';
import { storeError } from './write-error.ts';

/** Result code: another connection writes. */
const SQLITE_ERROR = 1;
export const SQLITE_BUSY = 5;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/**
 * Opens an SQLite file, made if need be. The module is loaded at first use: the worker imports this folder without it.
 * @param timeout ms that SQLite itself waits for a lock
 * @throws TsbuildError `TSB_STORE` when the file cannot be opened at all
 */
export function openSqlite(path: string, timeout: number): DatabaseSync {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  try {
    return new DatabaseSync(path, { timeout });
  } catch (error) {
    throw sqliteError(error, path);
  }
}

/** SQLite's primary result code, or undefined when the error is not SQLite's. */
export function primaryCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** Whether the error says that the file's content is not what SQLite wrote. */
export function isDamage(error: unknown): boolean {
  const code = primaryCode(error);
  // Statements are ours and right: what they name is missing only where the text of the schema was changed.
  if (code === SQLITE_ERROR) return /no such (table|column|index)|has no column named|malformed/.test(messageOf(error));
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** Who they are, as far as they can be seen. */
function whoElse(root: string): string {
  const others = otherUsers(join(root, 'sessions')).map((holder) => `${holder.command} (process ${holder.pid})`);
  return others.length === 0 ? '' : `: ${others.join(', ')}`;
}

/** Turns an error of SQLite into the one for the user. Others pass as they are. */
export function sqliteError(error: unknown, path: string): unknown {
  const code = primaryCode(error);
  if (code === undefined) return error;
  const doing = `Cannot use the store's index ${JSON.stringify(path)}`;
  if (code === SQLITE_FULL || ((code === SQLITE_CANTOPEN || code === SQLITE_IOERR) && exhausted(path))) {
    return storeError(Object.assign(new Error('full', { cause: error }), { code: 'ENOSPC' }), doing, path);
  }
  if (code === SQLITE_BUSY) {
    return new TsbuildError('TSB_STORE', `${doing}: other processes keep it locked`, {
      hint: `run the command again when other builds are done${whoElse(dirname(path))}`,
      cause: error,
    });
  }
  try {
    fs.accessSync(dirname(path), fs.constants.W_OK);
  } catch (reason) {
    return storeError(reason, doing, path);
  }
  return storeError(error, doing, path);
}
