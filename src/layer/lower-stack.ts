import { readdirSync } from 'node:fs';
import {
  close,
  type FileStat,
  getXattr,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openat,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  statatIfExists,
  AT_FDCWD,
} from '../sys/index.ts';
import { type ByteString, toFsPath } from '../tree/index.ts';

/**
 * One directory of the merged view of a stack of layer directories: fds of it in every layer that contributes to it,
 * top first.
 */
export type LowerDir = readonly number[];

/** The overlay attribute that hides what lower layers have in a directory (mounted with `userxattr`). */
export const OPAQUE = 'user.overlay.opaque';

/** A whiteout of overlayfs: a character device 0:0. */
export function isWhiteout(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

/** Whether it is a directory and no whiteout or link to one. */
export function isDir(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

/** Names in an open directory, as byte strings, unsorted. */
export function listDir(fd: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
}

/** Opens a directory by one name, never through a symlink. */
export function openDirAt(dirfd: number, name: ByteString): number {
  return openat(dirfd, toFsPath(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** Opens the roots of layer directories. @param dirs bottom first */
export function openLowerRoots(dirs: readonly string[]): LowerDir {
  const fds: number[] = [];
  try {
    for (const dir of dirs.toReversed()) fds.push(openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
  } catch (error) {
    closeLowerDir(fds);
    throw error;
  }
  return fds;
}

/** Closes what `openLower…` opened. */
export function closeLowerDir(dir: LowerDir): void {
  for (const fd of dir) close(fd);
}

/** What the merged view shows under a name, and the fd of the directory it is in; undefined for nothing. */
export function findInLowers(
  parent: LowerDir,
  name: ByteString,
): { readonly dirfd: number; readonly stat: FileStat } | undefined {
  for (const dirfd of parent) {
    const stat = statatIfExists(dirfd, toFsPath(name));
    if (stat) return isWhiteout(stat) ? undefined : { dirfd, stat };
  }
  return undefined;
}

/** Names in the merged view of a directory, unsorted. */
export function listLowerDir(dir: LowerDir): ByteString[] {
  const names = new Set(dir.flatMap(listDir));
  return [...names].filter((name) => findInLowers(dir, name) !== undefined);
}

/** Opens a subdirectory in every layer that contributes to it; empty when the merged view has none of that name. */
export function openLowerDir(parent: LowerDir, name: ByteString): LowerDir {
  const fds: number[] = [];
  for (const dirfd of parent) {
    const stat = statatIfExists(dirfd, toFsPath(name));
    if (!stat) continue;
    // Whiteouts and other files hide what is beneath them.
    if (!isDir(stat)) break;
    const fd = openDirAt(dirfd, name);
    fds.push(fd);
    if (isOpaque(fd)) break;
  }
  return fds;
}

/** Whether an open directory hides what lower layers have in it. */
export function isOpaque(fd: number): boolean {
  return getXattr(fd, OPAQUE)?.toString() === 'y';
}
