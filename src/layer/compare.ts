import {
  close,
  fdPath,
  type FileStat,
  getXattr,
  O_NOFOLLOW,
  O_RDONLY,
  openat,
  readlinkat,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type XattrTarget,
} from '../sys/index.ts';
import { type ByteString, CAPABILITY, sameContent, toFsPath } from '../tree/index.ts';

/** A file in an open directory. */
export interface FileAt {
  readonly dirfd: number;
  readonly stat: FileStat;
}

/** Whether type, mode, owner and time (to the nanosecond) are the same. */
export function sameAttributes(a: FileStat, b: FileStat): boolean {
  return (
    a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec
  );
}

/** Whether two files have the same attributes that layers carry. */
export function sameXattrs(a: XattrTarget, b: XattrTarget): boolean {
  return Buffer.compare(getXattr(a, CAPABILITY) ?? EMPTY, getXattr(b, CAPABILITY) ?? EMPTY) === 0;
}

const EMPTY = Buffer.alloc(0);

/** Whether a file that is no directory is the same in two places, in everything that a layer holds of it. */
export function isUnchanged(upper: FileAt, lower: FileAt, name: ByteString): boolean {
  const { stat } = upper;
  if (!sameAttributes(stat, lower.stat) || stat.size !== lower.stat.size) return false;
  const path = toFsPath(name);
  switch (stat.mode & S_IFMT) {
    case S_IFREG:
      return sameFile(upper.dirfd, lower.dirfd, name);
    case S_IFLNK:
      return readlinkat(upper.dirfd, path).equals(readlinkat(lower.dirfd, path));
    default:
      return (
        stat.rdevMajor === lower.stat.rdevMajor &&
        stat.rdevMinor === lower.stat.rdevMinor &&
        sameXattrs(fdPath(upper.dirfd, path), fdPath(lower.dirfd, path))
      );
  }
}

function sameFile(upperDir: number, lowerDir: number, name: ByteString): boolean {
  const upper = openat(upperDir, toFsPath(name), O_RDONLY | O_NOFOLLOW);
  try {
    const lower = openat(lowerDir, toFsPath(name), O_RDONLY | O_NOFOLLOW);
    try {
      return sameXattrs(upper, lower) && sameContent(upper, lower);
    } finally {
      close(lower);
    }
  } finally {
    close(upper);
  }
}
