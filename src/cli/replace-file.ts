import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { freeLeftovers, NewFile } from '../files/index.ts';
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
 * Replaces a file's text at once, so that nobody ever reads half of it and a crash leaves the old one. What it is stays: owner and
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
    freeLeftovers(dirname(target));
    using file = NewFile.create(target, { mode: stats.mode & 0o7777, owner: stats });
    file.write(Buffer.from(after));
    requireText(doing, target, before);
    file.commit();
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
