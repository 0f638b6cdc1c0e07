import { readdirSync } from 'node:fs';
import {
  AT_FDCWD,
  close,
  fdPath,
  type FileStat,
  getXattr,
  mknodat,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  openat,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  setXattr,
  statat,
  statatIfExists,
} from '../sys/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { type ByteString, toFsPath } from './bytes.ts';

/**
 * One directory of the merged view of a stack of layer directories: fds of it in every layer that contributes to it, top first. What
 * shows through is decided here and nowhere else: as overlayfs does it, but for opaque roots, which it does not look at. Every step is
 * one name beneath an fd that follows no symlink, so that what others put into a layer leads nowhere (security rule 1).
 */
export type MergedDir = readonly number[];

/** What the merged view has under a name, and the fd of the directory that it is in. */
export interface MergedName {
  readonly dirfd: number;
  readonly stat: FileStat;
}

/** The overlay attribute that hides what lower layers have in a directory (mounted with `userxattr`). */
export const OPAQUE = 'user.overlay.opaque';

const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** What marks the other form of whiteouts: on an empty file, for file systems where nobody can make such a device. */
const WHITEOUT_MARK = 'user.overlay.whiteout';
/** Marks the directories that have such files, so that in all others no file needs to be looked at. */
const WHITEOUTS_MARK = 'user.overlay.whiteouts';

/** A whiteout of overlayfs: a character device 0:0, or an empty file that is marked as one (Documentation/filesystems/overlayfs.rst). */
export function isWhiteout(stat: FileStat, dirfd: number, name: ByteString): boolean {
  const type = stat.mode & S_IFMT;
  if (type === S_IFCHR) return stat.rdevMajor === 0 && stat.rdevMinor === 0;
  if (type !== S_IFREG || stat.size !== 0) return false;
  return getXattr(fdPath(dirfd, toFsPath(name)), WHITEOUT_MARK) !== undefined;
}

/** Makes a whiteout. On an overlayfs, as the root of most containers is, only the marked file can be made. */
export function makeWhiteout(dirfd: number, name: ByteString): void {
  try {
    mknodat(dirfd, toFsPath(name), S_IFCHR);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    const fd = openat(dirfd, toFsPath(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      setXattr(fd, WHITEOUT_MARK, 'y');
      setXattr(dirfd, WHITEOUTS_MARK, 'y');
      // What the kernel itself looks for.
      if (!isOpaque(dirfd)) setXattr(dirfd, OPAQUE, 'x');
    } finally {
      close(fd);
    }
  }
}

/** Whether it is a directory and no whiteout or link to one. */
export function isDir(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

/** Whether a directory, open or by its path, hides what lower layers have in it. */
export function isOpaque(directory: number | string): boolean {
  return getXattr(directory, OPAQUE)?.toString() === 'y';
}

/** Names in an open directory, as byte strings, unsorted. */
export function listDir(fd: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
}

/** Opens a directory by one name, never through a symlink. */
export function openDirAt(dirfd: number, name: ByteString): number {
  return openat(dirfd, toFsPath(name), OPEN_DIRECTORY);
}

/**
 * Opens the root of a stack.
 * @param dirs layer directories, bottom first; symlinks in their paths are followed
 * @throws TsbuildError `TSB_STORE` for one that is missing or cannot be read
 */
export function openMergedRoot(dirs: readonly string[]): MergedDir {
  return openParts(dirs.toReversed(), (dir) => {
    try {
      return openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    } catch (error) {
      const doing = `Cannot read layer "${dir}"`;
      if (errnoOf(error) !== 'ENOENT') throw fromErrno(error, doing, 'TSB_STORE');
      throw new TsbuildError('TSB_STORE', `${doing}: it does not exist`, { cause: error });
    }
  });
}

/**
 * The layers of a stack that show at all: those down to the topmost whose root hides the ones below it. For overlay mounts, since
 * the kernel merges the roots of all its layers, whatever they say; the helper leaves the others out, too.
 */
export function shownLayers(dirs: readonly string[]): readonly string[] {
  const top = dirs.findLastIndex(isOpaque);
  return top > 0 ? dirs.slice(top) : dirs;
}

/** Opens a subdirectory in every layer that contributes to it; empty when the merged view has none of that name. */
export function openMerged(parent: MergedDir, name: ByteString): MergedDir {
  return openParts(parent, (dirfd) => {
    const stat = statatIfExists(dirfd, toFsPath(name));
    if (!stat) return undefined;
    // Whiteouts and other files hide what is beneath them.
    return isDir(stat) ? openDirAt(dirfd, name) : 'hidden';
  });
}

/** @param open opens the directory in one layer, top first; undefined where that has none */
function openParts<T>(places: readonly T[], open: (place: T) => number | 'hidden' | undefined): MergedDir {
  const fds: number[] = [];
  try {
    for (const place of places) {
      const fd = open(place);
      if (fd === undefined) continue;
      if (fd === 'hidden') break;
      fds.push(fd);
      // The lowest has nothing to hide.
      if (places.length > 1 && isOpaque(fd)) break;
    }
  } catch (error) {
    closeMerged(fds);
    throw error;
  }
  return fds;
}

/** Closes what `openMerged…` opened. */
export function closeMerged(dir: MergedDir): void {
  for (const fd of dir) close(fd);
}

/** What the merged view shows under a name; undefined for nothing. */
export function findMerged(parent: MergedDir, name: ByteString): MergedName | undefined {
  const path = toFsPath(name);
  for (const dirfd of parent) {
    const stat = statatIfExists(dirfd, path);
    if (stat) return isWhiteout(stat, dirfd, name) ? undefined : { dirfd, stat };
  }
  return undefined;
}

/** What one layer has under a name, as far as a listing of its directory tells. */
export interface LayerName {
  readonly name: ByteString;
  readonly directory: boolean;
  /** It may be a whiteout: `isWhiteout` tells. For all others it need not be asked. */
  readonly mayHide: boolean;
}

/** Names that one layer has in an open directory, whiteouts among them, unsorted. */
export function* listLayer(fd: number): Generator<LayerName> {
  const inFiles = getXattr(fd, WHITEOUTS_MARK) !== undefined;
  for (const entry of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1', withFileTypes: true }))
    yield {
      name: entry.name,
      directory: entry.isDirectory(),
      mayHide: entry.isCharacterDevice() || (inFiles && entry.isFile()),
    };
}

/** Names in the merged view of a directory, unsorted. Each layer is listed once, and only what may be a whiteout is looked at. */
export function listMerged(dir: MergedDir): ByteString[] {
  const names: ByteString[] = [];
  const seen = dir.length > 1 ? new Set<ByteString>() : undefined;
  for (const fd of dir) {
    for (const { name, mayHide } of listLayer(fd)) {
      if (seen?.has(name)) continue;
      seen?.add(name);
      if (!mayHide || !isWhiteout(statat(fd, toFsPath(name)), fd, name)) names.push(name);
    }
  }
  return names;
}
