import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, fromErrno, randomHex } from '../util/index.ts';

/**
 * Writes a lock file by rename, unless it says the same already: an unchanged file keeps its time, and stays the same part of a context.
 * @returns whether it was written
 * @throws TsbuildError `TSB_EXPORT`, `TSB_PERMISSION`, `TSB_NO_SPACE`
 */
export function writeLockFile(path: string, text: string): boolean {
  if (readOld(path) === text) return false;
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomHex(6)}.tmp`);
  let made = false;
  try {
    const fd = openSync(temporary, 'wx', 0o644);
    made = true;
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    return true;
  } catch (error) {
    if (made) rmSync(temporary, { force: true });
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
