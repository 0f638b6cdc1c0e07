import { readFileSync, renameSync, rmSync } from 'node:fs';
import { errnoOf, fromErrno, writeBeside } from '../util/index.ts';

/**
 * Writes a lock file by rename, unless it says the same already: an unchanged file keeps its time, and stays the same part of a context.
 * @returns whether it was written
 * @throws TsbuildError `TSB_EXPORT`, `TSB_PERMISSION`, `TSB_NO_SPACE`
 */
export function writeLockFile(path: string, text: string): boolean {
  if (readOld(path) === text) return false;
  let temporary: string | undefined;
  try {
    temporary = writeBeside(path, text, { create: 0o644 });
    renameSync(temporary, path);
    return true;
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { force: true });
    throw fromErrno(error, `Cannot write ${JSON.stringify(path)}`, 'TSB_EXPORT');
  }
}

function readOld(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, `Cannot read ${JSON.stringify(path)}`, 'TSB_EXPORT');
  }
}
