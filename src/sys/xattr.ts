import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { type BytePath, check, cPath, lastErrno, libc, sysError } from './native.ts';

const calls = {
  lgetxattr: libc('lgetxattr', 'int64_t', ['const uint8_t *', 'str', 'uint8_t *', 'size_t']),
  fgetxattr: libc('fgetxattr', 'int64_t', ['int', 'str', 'uint8_t *', 'size_t']),
  lsetxattr: libc('lsetxattr', 'int', ['const uint8_t *', 'str', 'const uint8_t *', 'size_t', 'int']),
  fsetxattr: libc('fsetxattr', 'int', ['int', 'str', 'const uint8_t *', 'size_t', 'int']),
  llistxattr: libc('llistxattr', 'int64_t', ['const uint8_t *', 'uint8_t *', 'size_t']),
  flistxattr: libc('flistxattr', 'int64_t', ['int', 'uint8_t *', 'size_t']),
};

const { ENODATA, EOPNOTSUPP, ERANGE } = constants.errno;
/** The kernel's limit for a value and for a list (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const LIMIT = 65_536;
let buffer = Buffer.alloc(1024);

/**
 * What an attribute call is about: an open fd (not one opened with `O_PATH`), or a path, whose last component is not
 * followed. For a name beneath a directory fd pass `fdPath(dirfd, name)`; for an `O_PATH` fd `fdPath(fd)`, which
 * reaches the file only through the calls that follow links, so open such files for reading instead.
 */
export type XattrTarget = number | BytePath;

/** The value of an attribute, or undefined when it is not set or the file system has none. */
export function getXattr(target: XattrTarget, name: string): Buffer | undefined {
  const call = (): number =>
    typeof target === 'number'
      ? calls.fgetxattr(target, name, buffer, buffer.length)
      : calls.lgetxattr(cPath(target, 'getxattr'), name, buffer, buffer.length);
  return read(call, 'getxattr', target);
}

/** Sets an attribute, replacing its value. */
export function setXattr(target: XattrTarget, name: string, value: Uint8Array | string): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (typeof target === 'number') check(calls.fsetxattr(target, name, bytes, bytes.length, 0), 'fsetxattr');
  else check(calls.lsetxattr(cPath(target, 'lsetxattr'), name, bytes, bytes.length, 0), 'lsetxattr', target);
}

/** Names of all attributes, unsorted, as latin1 strings of their bytes; empty where the file system has none. */
export function listXattrs(target: XattrTarget): string[] {
  const call = (): number =>
    typeof target === 'number'
      ? calls.flistxattr(target, buffer, buffer.length)
      : calls.llistxattr(cPath(target, 'listxattr'), buffer, buffer.length);
  const names = read(call, 'listxattr', target);
  if (names === undefined || names.length === 0) return [];
  return names.toString('latin1', 0, names.length - 1).split('\0');
}

/** What a call put into `buffer`, which is made larger when it has to be; undefined where there is no such attribute. */
function read(call: () => number, syscall: string, target: XattrTarget): Buffer | undefined {
  for (;;) {
    const length = call();
    if (length >= 0) return Buffer.from(buffer.subarray(0, length));
    const errno = lastErrno();
    if (errno === ERANGE && buffer.length < LIMIT) buffer = Buffer.alloc(LIMIT);
    else if (errno === ENODATA || errno === EOPNOTSUPP) return undefined;
    else throw sysError(syscall, errno, typeof target === 'number' ? nameOfFd(target) : target);
  }
}

/** Where the file of a descriptor is, for messages. */
function nameOfFd(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
