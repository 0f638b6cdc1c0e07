import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './constants.ts';
import { type BytePath, check, cPath, lastErrno, rawSyscall, sysError } from './native.ts';

const statx = rawSyscall('statx', ['int', 'const uint8_t *', 'int', 'uint', 'uint8_t *']);

/** Attributes of a file. Times are whole seconds since the epoch (may be negative) plus nanoseconds. */
export interface FileStat {
  /** Type and permission bits, as in `st_mode`. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Blocks of 512 bytes that are allocated. */
  readonly blocks: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  /** Rounded above 2^53; use `inodeKey` to compare. */
  readonly ino: number;
  readonly inoHigh: number;
  readonly inoLow: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
}

/** Equal for two stats exactly when they are of the same inode. */
export function inodeKey(stat: FileStat): string {
  return `${stat.devMajor}:${stat.devMinor}:${stat.inoHigh}:${stat.inoLow}`;
}

const STATX_BASIC_STATS = 0x7ff;
const ENOENT = 2;
const ENOTDIR = 20;
const buffer = Buffer.alloc(256);
const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
const LITTLE = true;

/**
 * Attributes of `path` beneath `dirfd`, following no symlink in the last component unless `flags` is 0.
 * With an empty path, of `dirfd` itself. About three times as fast as `fs.lstatSync` on a /proc/self/fd path.
 */
export function statat(dirfd: number, path: BytePath, flags: number = AT_SYMLINK_NOFOLLOW): FileStat {
  check(call(dirfd, path, flags), 'statx', path);
  return read();
}

/** As `statat`; undefined when there is no such file (`ENOENT`, `ENOTDIR`). */
export function statatIfExists(
  dirfd: number,
  path: BytePath,
  flags: number = AT_SYMLINK_NOFOLLOW,
): FileStat | undefined {
  if (call(dirfd, path, flags) >= 0) return read();
  const errno = lastErrno();
  if (errno === ENOENT || errno === ENOTDIR) return undefined;
  throw sysError('statx', errno, path);
}

/** Attributes of an open file. */
export function fstat(fd: number): FileStat {
  return statat(fd, '');
}

function call(dirfd: number, path: BytePath, flags: number): number {
  const all = path.length === 0 ? flags | AT_EMPTY_PATH : flags;
  return statx(dirfd, cPath(path, 'statx'), all, STATX_BASIC_STATS, buffer);
}

/** struct statx of linux/stat.h; the kernel's structs are little-endian on every processor that is supported. */
function read(): FileStat {
  const inoLow = view.getUint32(0x20, LITTLE);
  const inoHigh = view.getUint32(0x24, LITTLE);
  return {
    mode: view.getUint16(0x1c, LITTLE),
    nlink: view.getUint32(0x10, LITTLE),
    uid: view.getUint32(0x14, LITTLE),
    gid: view.getUint32(0x18, LITTLE),
    size: long(0x28),
    blocks: long(0x30),
    mtimeSec: long(0x70),
    mtimeNsec: view.getUint32(0x78, LITTLE),
    ctimeSec: long(0x60),
    ctimeNsec: view.getUint32(0x68, LITTLE),
    ino: inoHigh * 2 ** 32 + inoLow,
    inoHigh,
    inoLow,
    devMajor: view.getUint32(0x88, LITTLE),
    devMinor: view.getUint32(0x8c, LITTLE),
    rdevMajor: view.getUint32(0x80, LITTLE),
    rdevMinor: view.getUint32(0x84, LITTLE),
  };
}

function long(offset: number): number {
  return view.getInt32(offset + 4, LITTLE) * 2 ** 32 + view.getUint32(offset, LITTLE);
}
