import { constants } from 'node:os';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFLNK,
  S_IFMT,
} from './constants.ts';
import { type BytePath, check, cPath, fdPath, lastErrno, libc, rawSyscall, sysError } from './native.ts';
import { hasAttributes, isRecording, timeOfOwner, writeOwner } from './owners.ts';
import { statat } from './stat.ts';

const calls = {
  openat: libc('openat', 'int', ['int', 'const uint8_t *', 'int', 'uint']),
  openat2: rawSyscall('openat2', ['int', 'const uint8_t *', 'const uint8_t *', 'size_t']),
  close: libc('close', 'int', ['int']),
  mkdirat: libc('mkdirat', 'int', ['int', 'const uint8_t *', 'uint']),
  mknodat: rawSyscall('mknodat', ['int', 'const uint8_t *', 'uint', 'uint']),
  symlinkat: libc('symlinkat', 'int', ['const uint8_t *', 'int', 'const uint8_t *']),
  linkat: libc('linkat', 'int', ['int', 'const uint8_t *', 'int', 'const uint8_t *', 'int']),
  renameat2: rawSyscall('renameat2', ['int', 'const uint8_t *', 'int', 'const uint8_t *', 'uint']),
  unlinkat: libc('unlinkat', 'int', ['int', 'const uint8_t *', 'int']),
  readlinkat: libc('readlinkat', 'int64_t', ['int', 'const uint8_t *', 'uint8_t *', 'size_t']),
  fchownat: libc('fchownat', 'int', ['int', 'const uint8_t *', 'uint', 'uint', 'int']),
  fchmodat: libc('fchmodat', 'int', ['int', 'const uint8_t *', 'uint', 'int']),
  fchmodat2: rawSyscall('fchmodat2', ['int', 'const uint8_t *', 'uint', 'int']),
  utimensat: libc('utimensat', 'int', ['int', 'const uint8_t *', 'const uint8_t *', 'int']),
  futimens: libc('futimens', 'int', ['int', 'const uint8_t *']),
};

/** openat(2), always close-on-exec. The fd is closed with `close` here or `fs.closeSync`. */
export function openat(dirfd: number, path: BytePath, flags: number, mode = 0): number {
  return check(calls.openat(dirfd, cPath(path, 'openat'), flags | O_CLOEXEC, mode), 'openat', path);
}

/** close(2), faster than `fs.closeSync` for fds that were opened here. */
export function close(fd: number): void {
  check(calls.close(fd), 'close');
}

/** `struct open_how` of openat2(2). */
export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  /** `RESOLVE_*` bits. */
  readonly resolve?: number;
}

/** openat2(2), always close-on-exec. `EAGAIN` (a concurrent rename under `RESOLVE_IN_ROOT`) is tried again here. */
export function openat2(dirfd: number, path: BytePath, how: OpenHow): number {
  const fields = new BigUint64Array([BigInt(how.flags | O_CLOEXEC), BigInt(how.mode ?? 0), BigInt(how.resolve ?? 0)]);
  const bytes = new Uint8Array(fields.buffer);
  for (let attempt = 0; ; attempt++) {
    const fd = calls.openat2(dirfd, cPath(path, 'openat2'), bytes, bytes.length);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno !== constants.errno.EAGAIN || attempt === 31) throw sysError('openat2', errno, path);
  }
}

/** mkdirat(2); the mode is subject to the umask. */
export function mkdirat(dirfd: number, path: BytePath, mode: number): void {
  check(calls.mkdirat(dirfd, cPath(path, 'mkdirat'), mode), 'mkdirat', path);
}

/** mknodat(2): fifos (`S_IFIFO | mode`), and devices such as an overlay whiteout (`S_IFCHR`, 0, 0). */
export function mknodat(dirfd: number, path: BytePath, mode: number, major = 0, minor = 0): void {
  const type = mode & S_IFMT;
  if (isRecording() && (type === S_IFCHR || type === S_IFBLK) && (major !== 0 || minor !== 0)) {
    close(openat(dirfd, path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode & 0o7777));
    writeOwner(dirfd, path, AT_SYMLINK_NOFOLLOW, { uid: 0, gid: 0, device: { type, major, minor } });
    return;
  }
  const device = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
  check(calls.mknodat(dirfd, cPath(path, 'mknodat'), mode, device), 'mknodat', path);
}

/** symlinkat(2). */
export function symlinkat(target: BytePath, dirfd: number, path: BytePath): void {
  check(calls.symlinkat(cPath(target, 'symlinkat', 1), dirfd, cPath(path, 'symlinkat')), 'symlinkat', path);
}

/** linkat(2). Without `AT_SYMLINK_FOLLOW` in `flags`, a symlink is linked itself. */
export function linkat(fromDirfd: number, from: BytePath, toDirfd: number, to: BytePath, flags = 0): void {
  check(calls.linkat(fromDirfd, cPath(from, 'linkat', 1), toDirfd, cPath(to, 'linkat'), flags), 'linkat', to);
}

/** renameat2(2); `flags` are `RENAME_*`. */
export function renameat2(fromDirfd: number, from: BytePath, toDirfd: number, to: BytePath, flags = 0): void {
  check(
    calls.renameat2(fromDirfd, cPath(from, 'renameat2', 1), toDirfd, cPath(to, 'renameat2'), flags),
    'renameat2',
    from,
  );
}

/** unlinkat(2); with `AT_REMOVEDIR` it removes an empty directory. */
export function unlinkat(dirfd: number, path: BytePath, flags = 0): void {
  check(calls.unlinkat(dirfd, cPath(path, 'unlinkat'), flags), 'unlinkat', path);
}

const linkBuffer = Buffer.alloc(4096);

/** The target of a symlink, raw. With an empty path, of the symlink that `dirfd` (opened with `O_PATH`) is. */
export function readlinkat(dirfd: number, path: BytePath): Buffer {
  const length = check(
    calls.readlinkat(dirfd, cPath(path, 'readlinkat'), linkBuffer, linkBuffer.length),
    'readlinkat',
    path,
  );
  return Buffer.from(linkBuffer.subarray(0, length));
}

/** fchownat(2); follows no symlink unless `flags` says so. -1 leaves an id as it is. */
export function fchownat(
  dirfd: number,
  path: BytePath,
  uid: number,
  gid: number,
  flags: number = AT_SYMLINK_NOFOLLOW,
): void {
  if (isRecording()) return recordOwner(dirfd, path, uid, gid, flags);
  check(calls.fchownat(dirfd, cPath(path, 'fchownat'), uid >>> 0, gid >>> 0, flags), 'fchownat', path);
}

/** fchown(2) of a descriptor that may be of `O_PATH`. */
export function fchown(fd: number, uid: number, gid: number): void {
  fchownat(fd, '', uid, gid, AT_EMPTY_PATH);
}

function recordOwner(dirfd: number, path: BytePath, uid: number, gid: number, flags: number): void {
  const stat = statat(dirfd, path, flags);
  const owner = { uid: uid === -1 ? stat.uid : uid, gid: gid === -1 ? stat.gid : gid };
  const type = stat.mode & S_IFMT;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  const device = { type, major: stat.rdevMajor, minor: stat.rdevMinor };
  if (hasAttributes(stat.mode) || isDevice)
    return writeOwner(dirfd, path, flags, isDevice ? { ...owner, device } : owner);
  const mtime = { sec: stat.mtimeSec, nsec: stat.mtimeNsec };
  writeTime(0, timeOfOwner(owner) ?? mtime);
  writeTime(16, mtime);
  check(calls.utimensat(dirfd, cPath(path, 'utimensat'), times, flags), 'utimensat', path);
}

let hasFchmodat2 = true;

/**
 * Sets a mode and never follows a symlink: `ELOOP` or `ENOTSUP` on one. fchmodat2 where the kernel has it (6.6);
 * else through an `O_PATH` fd that is known to be no symlink.
 */
export function fchmodat(dirfd: number, path: BytePath, mode: number): void {
  if (hasFchmodat2) {
    if (calls.fchmodat2(dirfd, cPath(path, 'fchmodat'), mode, AT_SYMLINK_NOFOLLOW) >= 0) return;
    const errno = lastErrno();
    if (errno !== constants.errno.ENOSYS && errno !== constants.errno.EPERM) throw sysError('fchmodat', errno, path);
    // Seccomp filters that do not know the call answer EPERM: only the other way tells a real EPERM.
    if (errno === constants.errno.ENOSYS) hasFchmodat2 = false;
  }
  const fd = openat(dirfd, path, O_PATH | O_NOFOLLOW);
  try {
    if ((statat(fd, '').mode & S_IFMT) === S_IFLNK) throw sysError('fchmodat', constants.errno.ELOOP, path);
    check(calls.fchmodat(-100, cPath(fdPath(fd), 'fchmodat'), mode, 0), 'fchmodat', path);
  } finally {
    close(fd);
  }
}

/** A point in time: whole seconds since the epoch (may be negative) and nanoseconds 0..999999999. */
export interface Timespec {
  readonly sec: number;
  readonly nsec: number;
}

const times = Buffer.alloc(32);

/**
 * utimensat(2) with nanoseconds, which Node's lutimes loses; follows no symlink unless `flags` says so.
 * With `path` null it is about `fd` itself (not one opened with `O_PATH`).
 */
export function utimensat(
  fd: number,
  path: BytePath | null,
  atime: Timespec,
  mtime: Timespec,
  flags: number = AT_SYMLINK_NOFOLLOW,
): void {
  // A link's owner may be told by the time of its last access: that stays.
  const kept = isRecording() && path !== null ? ownerTime(fd, path, flags) : undefined;
  writeTime(0, kept ?? atime);
  writeTime(16, mtime);
  if (path === null) check(calls.futimens(fd, times), 'futimens');
  else check(calls.utimensat(fd, cPath(path, 'utimensat'), times, flags), 'utimensat', path);
}

function ownerTime(dirfd: number, path: BytePath, flags: number): Timespec | undefined {
  const { mode, uid, gid } = statat(dirfd, path, flags);
  return hasAttributes(mode) ? undefined : timeOfOwner({ uid, gid });
}

function writeTime(offset: number, time: Timespec): void {
  const high = Math.floor(time.sec / 2 ** 32);
  times.writeUInt32LE(time.sec - high * 2 ** 32, offset);
  times.writeInt32LE(high, offset + 4);
  times.writeUInt32LE(time.nsec, offset + 8);
}
