import { AT_FDCWD, close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat, S_IFMT, S_IFSOCK, statat } from '../sys/index.ts';
import {
  type ByteString,
  closeMerged,
  compareBytes,
  fileAt,
  findMerged,
  isDir,
  isOpaque,
  isUnchanged,
  isWhiteout,
  listDir,
  listMerged,
  type MergedDir,
  openDirAt,
  openMerged,
  openMergedRoot,
  toFsPath,
} from '../tree/index.ts';
import type { Stubs } from './stubs.ts';

/** One path that an upper directory adds, changes or deletes. */
export interface TreeChange {
  readonly kind: 'A' | 'C' | 'D';
  /** From the root, without a leading slash. */
  readonly path: ByteString;
}

/** What is compared. */
export interface ListChangesOptions {
  /** An overlay upper directory. */
  readonly upper: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  readonly idShift: number;
  readonly stubs: Stubs;
  readonly signal?: AbortSignal;
}

/**
 * What an overlay upper directory changes, as `docker diff` has it: parents before what is in them, a directory that has a change in it is
 * changed itself (moby, pkg/archive/changes.go). What was only copied up is no change.
 */
export function listChanges(options: ListChangesOptions): readonly TreeChange[] {
  const changes: TreeChange[] = [];
  const upper = openat(AT_FDCWD, options.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  let lowers: MergedDir = [];
  try {
    lowers = openMergedRoot(options.lowers);
    collect({ fd: upper, lowers, path: '', hides: false }, options, changes);
    return changes;
  } finally {
    closeMerged(lowers);
    close(upper);
  }
}

interface Dir {
  readonly fd: number;
  /** Empty where nothing below shows through. */
  readonly lowers: MergedDir;
  readonly path: ByteString;
  /** It shows nothing of the layers below: what it lacks of them is deleted. */
  readonly hides: boolean;
}

function collect(dir: Dir, options: ListChangesOptions, changes: TreeChange[]): void {
  options.signal?.throwIfAborted();
  const own = new Set(listDir(dir.fd));
  // An opaque directory deletes what it does not have itself.
  const hides = dir.hides || isOpaque(dir.fd);
  const hidden = hides ? listMerged(dir.lowers).filter((name) => !own.has(name)) : [];
  for (const name of [...own, ...hidden].sort(compareBytes)) {
    const path = dir.path === '' ? name : `${dir.path}/${name}`;
    if (!own.has(name)) {
      changes.push({ kind: 'D', path });
      continue;
    }
    const stat = statat(dir.fd, toFsPath(name));
    const below = findMerged(dir.lowers, name);
    if (isWhiteout(stat, dir.fd, name)) {
      if (below !== undefined) changes.push({ kind: 'D', path });
      continue;
    }
    if ((stat.mode & S_IFMT) === S_IFSOCK) continue;
    if (below === undefined && options.stubs.has(dir.fd, name, path, stat)) continue;
    const change: TreeChange = { kind: below === undefined ? 'A' : 'C', path };
    const { idShift } = options;
    const same =
      below !== undefined && isUnchanged(fileAt({ dirfd: dir.fd, stat }, name, idShift), fileAt(below, name, idShift));
    if (!isDir(stat)) {
      if (!same) changes.push(change);
      continue;
    }
    const at = changes.length;
    changes.push(change);
    enter({ ...dir, hides }, name, path, options, changes);
    if (same && changes.length === at + 1) changes.pop();
  }
}

function enter(dir: Dir, name: ByteString, path: ByteString, options: ListChangesOptions, changes: TreeChange[]): void {
  const fd = openDirAt(dir.fd, name);
  let lowers: MergedDir = [];
  try {
    lowers = openMerged(dir.lowers, name);
    collect({ fd, lowers, path, hides: dir.hides }, options, changes);
  } finally {
    closeMerged(lowers);
    close(fd);
  }
}
