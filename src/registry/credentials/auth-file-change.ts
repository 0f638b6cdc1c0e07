import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { freeLeftovers, NewFile } from '../../files/index.ts';
import { fromErrno, makeDirectories, TsbuildError } from '../../util/index.ts';
import type { Json } from '../../image/index.ts';
import { authFileName, parseAuthDocument, readAuthBytes } from './auth-file.ts';

/** How often a change is made anew because another program wrote the file meanwhile. */
const TRIES = 5;

/**
 * Changes an auth file at once, so that nobody ever reads half of it; it is for its owner alone then (0600). What this program
 * knows nothing of stays. Behind a symbolic link the file that it leads to is replaced. One that does not exist is made, and its directory.
 * @param change gives the new document, or undefined to leave the file alone
 * @returns whether others could read it before; undefined when it was left alone
 * @throws TsbuildError `TSB_PERMISSION`, `TSB_NO_SPACE`, `TSB_EXPORT`, `TSB_IMAGE` when what is there is no auth file
 */
export function changeAuthFile(
  path: string,
  change: (document: Json) => Json | undefined,
): { readonly wasShared: boolean } | undefined {
  const what = authFileName(path);
  const doing = `Cannot write ${what}`;
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const before = readAuthBytes(path);
      const document = change(parseAuthDocument(before ?? Buffer.alloc(0), what));
      if (document === undefined) return undefined;
      if (before === undefined) makeDirectories(dirname(path), 0o700);
      const target = before === undefined ? path : realpathSync(path);
      const stats = statSync(target, { throwIfNoEntry: false });
      freeLeftovers(dirname(target));
      using file = NewFile.create(target, stats && { owner: stats });
      // Docker's own form.
      file.write(Buffer.from(`${JSON.stringify(document, undefined, '\t')}\n`));
      // Two logins at the same time: the later one begins again from what the earlier one wrote.
      if (!same(before, readAuthBytes(path))) continue;
      file.commit();
      return { wasShared: stats !== undefined && (stats.mode & 0o077) !== 0 };
    }
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  }
  throw new TsbuildError('TSB_CHANGED', `${doing}: another program keeps changing it`, { hint: 'type it again' });
}

function same(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
