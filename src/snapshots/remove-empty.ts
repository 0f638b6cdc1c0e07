import { rmdirSync } from 'node:fs';
import { errnoOf } from '../util/index.ts';

/** Deletes a directory with nothing in it. @returns false when it has something */
export function removeEmpty(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}
