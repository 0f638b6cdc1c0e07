import { fchmodSync, readSync, writeSync } from 'node:fs';
import {
  close,
  fchown,
  fchownat,
  type FileStat,
  mknodat,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  openat,
  readlinkat,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  statat,
  symlinkat,
  type Timespec,
  utimensat,
} from '../sys/index.ts';
import { type ByteString, toFsPath } from '../tree/index.ts';
import { copyXattrs } from './xattrs.ts';

/**
 * Copies a file from a lower layer to the layer above, with its attributes, as overlayfs does before a file is linked.
 * Returns the bytes of content.
 */
export function copyLowerFile(fromDirfd: number, stat: FileStat, toDirfd: number, name: ByteString): number {
  const path = toFsPath(name);
  const times = { sec: stat.mtimeSec, nsec: stat.mtimeNsec };
  const type = stat.mode & S_IFMT;
  if (type !== S_IFREG) {
    if (type === S_IFLNK) symlinkat(readlinkat(fromDirfd, path), toDirfd, path);
    else mknodat(toDirfd, path, stat.mode, stat.rdevMajor, stat.rdevMinor);
    fchownat(toDirfd, path, stat.uid, stat.gid);
    utimensat(toDirfd, path, times, times);
    return 0;
  }
  const from = openat(fromDirfd, path, O_RDONLY | O_NOFOLLOW);
  try {
    const to = openat(toDirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(stat.size, 1 << 20) || 1);
      for (let count = readSync(from, buffer); count > 0; count = readSync(from, buffer))
        for (let at = 0; at < count;) at += writeSync(to, buffer, at, count - at);
      fchown(to, stat.uid, stat.gid);
      fchmodSync(to, stat.mode & 0o7777);
      copyXattrs(from, to);
      utimensat(to, null, times, times);
    } finally {
      close(to);
    }
  } finally {
    close(from);
  }
  return stat.size;
}

/** Gives a directory the owner, mode and attributes of another; returns the time it should get when it is complete. */
export function copyDirAttributes(from: number, to: number): Timespec {
  const stat = statat(from, '');
  fchown(to, stat.uid, stat.gid);
  fchmodSync(to, stat.mode & 0o7777);
  copyXattrs(from, to);
  return { sec: stat.mtimeSec, nsec: stat.mtimeNsec };
}

/** A new layer's root looks like the one below it, or is 0755 and root's; returns the time it should get. */
export function initRoot(root: number, below: number | undefined, idShift: number): Timespec {
  if (below !== undefined) return copyDirAttributes(below, root);
  fchown(root, idShift, idShift);
  fchmodSync(root, 0o755);
  return { sec: 0, nsec: 0 };
}
