import { exhausted, fromErrno, type TsbuildError } from '../util/index.ts';

/** What gives a full store room again. `prune` works on a full disk, because the store keeps a reserve for it. */
const NO_SPACE_HINT =
  'run "tsbuild prune" to free space ("tsbuild du" shows what it may free), or set TSBUILD_ROOT to a directory on another disk';

const FOREIGN_HINT = 'something else wrote to the store: run "tsbuild store check --repair"';
const PERMISSION_HINT = 'set TSBUILD_ROOT to a directory that you can write to';

/** What helps against an errno in the store, where nobody but tsbuild should write. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: NO_SPACE_HINT,
  EDQUOT: NO_SPACE_HINT,
  EACCES: PERMISSION_HINT,
  EPERM: PERMISSION_HINT,
  EROFS: PERMISSION_HINT,
  ENOENT: FOREIGN_HINT,
  ENOTDIR: FOREIGN_HINT,
  EISDIR: FOREIGN_HINT,
  EEXIST: FOREIGN_HINT,
  ENOTEMPTY: FOREIGN_HINT,
  ELOOP: FOREIGN_HINT,
};

/** The error for a failed write in the store. */
export function storeWriteError(error: unknown, path: string): TsbuildError {
  return storeError(error, `Cannot write ${JSON.stringify(path)} in the store`, path);
}

/** The error for whatever failed at `path` in the store, with what helps against it there. */
export function storeError(error: unknown, doing: string, path: string): TsbuildError {
  return fromErrno(error, doing, 'TSB_STORE', { hints: HINTS, path });
}

/** Less than this on the store's disk is why something failed, or may be: many programs write in pieces of so much. */
const NEARLY_FULL = { bytes: 1 << 20, inodes: 16 };

/**
 * What to do where the store's disk is full; undefined where it is not. To be asked before what failed is cleared away: errors of the
 * worker and of steps tell mostly no more than which file of a layer could not be written.
 */
export function fullDiskHint(root: string): string | undefined {
  const lacks = exhausted(root, NEARLY_FULL);
  if (lacks === undefined) return undefined;
  const what = lacks === 'inodes' ? 'can hold no more files ("df -i" shows it)' : 'is full';
  return `the disk of the store (${root}) ${what}: ${NO_SPACE_HINT}`;
}
