import { close, type FileStat, statat } from '../sys/index.ts';
import { type ByteString, compareBytes, isDir, joinPath, listDir, openDirAt, toFsPath } from '../tree/index.ts';
import { errnoOf } from '../util/index.ts';
import { MAX_PATH } from './tree.ts';

/** Something in a tree that is being walked. */
export interface Walked {
  /** Relative to the root; `''` for the root itself. */
  readonly path: ByteString;
  readonly name: ByteString;
  readonly stat: FileStat;
  /** The directory that it is in, open until the next one is asked for; for the root, itself. */
  readonly dirfd: number;
}

/** Deeper directories are left out: each takes a descriptor while it is walked, and readers refuse them. */
const MAX_DEPTH = 400;

/** A directory that is being walked. */
interface Level {
  readonly fd: number;
  readonly path: ByteString;
  readonly names: ByteString[];
}

/**
 * Everything in a directory, each directory before what is in it and names by their bytes. No symlink is followed. What goes away meanwhile
 * is not there: somebody may be at work in it. Neither is what no reader takes: what is too deep, or has too long a path.
 */
export function* walk(rootFd: number): Generator<Walked, void, undefined> {
  yield { path: '', name: '', stat: statat(rootFd, ''), dirfd: rootFd };
  const levels: Level[] = [{ fd: rootFd, path: '', names: namesIn(rootFd) }];
  try {
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) {
        levels.pop();
        if (levels.length > 0) close(level.fd);
        continue;
      }
      const path = joinPath(level.path, name);
      if (path.length > MAX_PATH) continue;
      const stat = unlessGone(() => statat(level.fd, toFsPath(name)));
      if (stat === undefined) continue;
      const fd = isDir(stat) && levels.length < MAX_DEPTH ? unlessGone(() => openDirAt(level.fd, name)) : undefined;
      if (isDir(stat) && fd === undefined) continue;
      if (fd !== undefined) levels.push({ fd, path, names: namesIn(fd) });
      yield { path, name, stat, dirfd: level.fd };
    }
  } finally {
    for (const { fd } of levels.slice(1)) close(fd);
  }
}

/** Last to first: the walk takes them from the end. */
function namesIn(fd: number): ByteString[] {
  return listDir(fd).toSorted((a, b) => compareBytes(b, a));
}

/** What was there a moment ago may be something else by now. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
