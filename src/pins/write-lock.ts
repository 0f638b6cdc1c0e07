import { readFileSync } from 'node:fs';
import { writeOutput } from '../files/index.ts';
import { errnoOf, fromErrno } from '../util/index.ts';

/**
 * Writes a lock file, whole or not at all, unless it says the same already: an unchanged file keeps its time, and stays the same part of a context.
 * @returns whether it was written
 * @throws TsbuildError `TSB_EXPORT`, `TSB_PERMISSION`, `TSB_NO_SPACE`
 */
export function writeLockFile(path: string, text: string): boolean {
  if (readOld(path) === text) return false;
  try {
    writeOutput(path, text);
    return true;
  } catch (error) {
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
