import { readdirSync } from 'node:fs';
import {
  AT_FDCWD,
  close,
  fdPath,
  getXattr,
  listXattrs,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openat,
  removeXattr,
  setXattr,
  statat,
  type XattrTarget,
} from '../sys/index.ts';
import { type ByteString, toFsPath } from '../tree/index.ts';
import { fromErrno } from '../util/index.ts';
import { isUnchanged } from './compare.ts';
import {
  closeLowerDir,
  findInLowers,
  isDir,
  isOpaque,
  type LowerDir,
  openDirAt,
  openLowerDir,
  openLowerRoots,
} from './lower-stack.ts';

/** `user.*` attributes but those that overlayfs keeps in the directory, its own and those that it stands for. */
const DROPPED = /^user\.(?!overlay\.)/;

export interface StripOptions {
  /** An overlay upper directory that nothing is mounted on. */
  readonly upper: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Takes the `user.*` attributes off the files of an upper directory that its layer will not hold, so that whoever builds on the
 * directory sees what the image will show. What base images have stays: on directories, which keep their attributes
 * when a layer names them again, and on files that are only copies of those below.
 */
export function stripXattrs({ upper, lowers, signal }: StripOptions): void {
  // Directories on the way down: what is below a step's directory may be deeper than functions can call themselves.
  const stack: Level[] = [];
  try {
    stack.push(enter(openat(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), openLowerRoots(lowers)));
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      signal?.throwIfAborted();
      const name = top.dirs.pop();
      if (name === undefined) leave(stack.pop());
      else {
        const fd = openDirAt(top.fd, name);
        stack.push(enter(fd, isOpaque(fd) ? [] : openLowerDir(top.lowers, name)));
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fromErrno(error, `Cannot finish the layer directory "${upper}"`, 'TSB_STORE');
  } finally {
    for (const level of stack) leave(level);
  }
}

/** A directory that is being done. */
interface Level {
  readonly fd: number;
  /** The directory in the layers below; empty where there is none or it is hidden. */
  readonly lowers: LowerDir;
  /** Its directories that are still to do. */
  readonly dirs: ByteString[];
}

/** Does a directory and the files in it; what is in its directories is left to the caller. Takes the fds over. */
function enter(fd: number, lowers: LowerDir): Level {
  const level: Level = { fd, lowers, dirs: [] };
  try {
    strip(fd, () => lowers[0]);
    // Only files and directories can have `user.*` attributes (xattr(7)).
    for (const entry of readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true, encoding: 'latin1' })) {
      const { name } = entry;
      if (entry.isDirectory()) level.dirs.push(name);
      else if (entry.isFile()) strip(fdPath(fd, toFsPath(name)), () => unchangedBelow(fd, lowers, name));
    }
    return level;
  } catch (error) {
    leave(level);
    throw error;
  }
}

function leave(level: Level | undefined): void {
  if (level === undefined) return;
  close(level.fd);
  closeLowerDir(level.lowers);
}

/** @param kept the file below whose attributes are still the image's, if there is one; asked for when needed */
function strip(target: XattrTarget, kept: () => XattrTarget | undefined): void {
  const names = listXattrs(target).filter((name) => DROPPED.test(name));
  if (names.length === 0) return;
  const below = kept();
  for (const name of names) {
    const text = Buffer.from(name, 'latin1').toString();
    const value = below === undefined ? undefined : getXattr(below, text);
    if (value === undefined) removeXattr(target, text);
    else setXattr(target, text, value);
  }
}

function unchangedBelow(dirfd: number, lowers: LowerDir, name: ByteString): XattrTarget | undefined {
  const below = findInLowers(lowers, name);
  if (!below || isDir(below.stat)) return undefined;
  const stat = statat(dirfd, toFsPath(name));
  if (stat.nlink > 1 || !isUnchanged({ dirfd, stat }, below, name)) return undefined;
  return fdPath(below.dirfd, toFsPath(name));
}
