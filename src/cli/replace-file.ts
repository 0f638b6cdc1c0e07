import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { fromErrno, TsbuildError } from '../util/index.ts';

/** A file of the user that gets another text. */
export interface Replacement {
  readonly path: string;
  /** The directory that the file was read in: a link that leads out of it was not followed then, and is not now. */
  readonly root: string;
  readonly before: string;
  readonly after: string;
}

/**
 * Replaces a file's text by rename, so that nobody ever reads half of it and a crash leaves the old one. What it is stays: owner and
 * mode; behind a symlink the file that it leads to is replaced, the link stays.
 * @throws TsbuildError `TSB_CHANGED` when the file is not what it was when it was read; `TSB_CONTEXT` when it is not UTF-8 or lies
 * elsewhere; `TSB_PERMISSION`, `TSB_NO_SPACE`, `TSB_EXPORT` when it cannot be written
 */
export function replaceFile({ path, root, before, after }: Replacement): void {
  const doing = `Cannot fix ${JSON.stringify(path)}`;
  try {
    const target = realpathSync(path);
    const inside = realpathSync(root);
    if (!target.startsWith(inside.endsWith(sep) ? inside : inside + sep))
      throw new TsbuildError('TSB_CONTEXT', `${doing}: it is a link to a file outside ${JSON.stringify(root)}`);
    // A rename would get around a file's being write-protected.
    accessSync(target, constants.W_OK);
    const stats = statSync(target);
    requireText(doing, target, before);
    const temporary = writeBeside(target, stats, after);
    try {
      requireText(doing, target, before);
      renameSync(temporary, target);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  }
}

function requireText(doing: string, path: string, text: string): void {
  const bytes = readFileSync(path);
  if (bytes.equals(Buffer.from(text))) return;
  if (bytes.toString('utf8') === text)
    throw new TsbuildError('TSB_CONTEXT', `${doing}: it holds bytes that are not UTF-8`);
  throw new TsbuildError('TSB_CHANGED', `${doing}: it was changed meanwhile`, { hint: 'type it again' });
}

/** @returns the path of a new file in the same directory, on the disk, with the owner and mode of the old one */
function writeBeside(target: string, { mode, uid, gid }: Stats, text: string): string {
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomBytes(6).toString('hex')}.tmp`);
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    const made = statSync(temporary);
    if (made.uid !== uid || made.gid !== gid) fchownSync(fd, uid, gid);
    fchmodSync(fd, mode & 0o7777);
    fsyncSync(fd);
    return temporary;
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
}
