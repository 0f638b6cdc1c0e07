import { lstatSync, type Stats, statSync } from 'node:fs';
import { errnoOf, fromErrno } from './errors.ts';

/**
 * What is at a path that somebody typed; undefined where there is nothing, or could be nothing of such a name.
 * @param follow false tells of a link itself
 * @throws TsbuildError `TSB_PERMISSION`, or `TSB_CONTEXT` when that cannot be seen
 */
export function statIfThere(path: string, follow = true): Stats | undefined {
  try {
    return (follow ? statSync : lstatSync)(path, { throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === 'ENAMETOOLONG') return undefined;
    throw fromErrno(error, `Cannot look at ${JSON.stringify(path)}`, 'TSB_CONTEXT');
  }
}
