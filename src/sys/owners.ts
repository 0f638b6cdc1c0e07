import { constants } from 'node:os';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG } from './constants.ts';
import { type BytePath, cPath, fdPath, lastErrno, libc, sysError } from './native.ts';

/**
 * Owners where all files belong to one id on disk (a user namespace of one id): they are remembered on the files themselves, as
 * native/src/owner.c has it, and the calls of this folder tell and set those. Off until `recordOwners`.
 */

/** The attribute of files and directories: `uid:gid`, or `uid:gid:c:major:minor` of a device that stands as an empty file. */
export const OWNER = 'user.tsbuild.owner';
/** The seconds of the last access of a link, fifo or socket say whose it is from here on (in the year 2242); the nanoseconds, which group's. */
const FIRST_SECOND = 2 ** 33;
/** Ids that can be remembered are below: nanoseconds end there. */
export const OWNER_LIMIT = 1_000_000_000;

/** Whose a file is, and the device that it stands for. */
export interface RecordedOwner {
  readonly uid: number;
  readonly gid: number;
  readonly device?: { readonly type: number; readonly major: number; readonly minor: number };
}

const calls = {
  getxattr: libc('getxattr', 'int64_t', ['const uint8_t *', 'str', 'uint8_t *', 'size_t']),
  lgetxattr: libc('lgetxattr', 'int64_t', ['const uint8_t *', 'str', 'uint8_t *', 'size_t']),
  setxattr: libc('setxattr', 'int', ['const uint8_t *', 'str', 'const uint8_t *', 'size_t', 'int']),
  lsetxattr: libc('lsetxattr', 'int', ['const uint8_t *', 'str', 'const uint8_t *', 'size_t', 'int']),
  removexattr: libc('removexattr', 'int', ['const uint8_t *', 'str']),
  lremovexattr: libc('lremovexattr', 'int', ['const uint8_t *', 'str']),
};
const { ENODATA, EOPNOTSUPP } = constants.errno;
const NOBODY: RecordedOwner = { uid: 0, gid: 0 };
const text = Buffer.alloc(80);
let recording = false;

/** From now on this thread tells and sets remembered owners. */
export function recordOwners(on: boolean): void {
  recording = on;
}

/** Whether owners are remembered in place of being set. */
export function isRecording(): boolean {
  return recording;
}

/** Whether files of a type have attributes of users (xattr(7)). */
export function hasAttributes(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFREG || type === S_IFDIR;
}

/** The owner that a time of last access stands for, undefined for one that is just that. */
export function ownerOfTime(sec: number, nsec: number): RecordedOwner | undefined {
  const uid = sec - FIRST_SECOND;
  return uid >= 0 && uid < OWNER_LIMIT ? { uid, gid: nsec } : undefined;
}

/** The time that stands for an owner; undefined for root, whom no time has to tell. */
export function timeOfOwner({ uid, gid }: RecordedOwner): { readonly sec: number; readonly nsec: number } | undefined {
  return uid === 0 && gid === 0 ? undefined : { sec: FIRST_SECOND + uid, nsec: gid };
}

/** What an attribute says; root for what it does not. */
export function parseOwner(value: string): RecordedOwner {
  const match = /^(\d{1,9}):(\d{1,9})(?::([cb]):(\d{1,9}):(\d{1,9}))?$/.exec(value);
  if (match === null) return NOBODY;
  const [, uid, gid, kind, major, minor] = match;
  const owner = { uid: Number(uid), gid: Number(gid) };
  if (kind === undefined) return owner;
  return {
    ...owner,
    device: { type: kind === 'c' ? S_IFCHR : S_IFBLK, major: Number(major), minor: Number(minor) },
  };
}

/** The value of the attribute; undefined for root's files, which have none. */
export function formatOwner({ uid, gid, device }: RecordedOwner): string | undefined {
  if (device === undefined) return uid === 0 && gid === 0 ? undefined : `${uid}:${gid}`;
  return `${uid}:${gid}:${device.type === S_IFCHR ? 'c' : 'b'}:${device.major}:${device.minor}`;
}

/** Where a call that knows no directory descriptors finds a file, and whether it follows a link there. */
function placeOf(dirfd: number, path: BytePath, flags: number): { readonly place: BytePath; readonly follow: boolean } {
  if (path.length === 0) return { place: fdPath(dirfd), follow: true };
  const absolute = typeof path === 'string' ? path.startsWith('/') : path[0] === 0x2f;
  return {
    place: absolute || dirfd < 0 ? path : fdPath(dirfd, path),
    follow: (flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) === 0,
  };
}

/** What a file or directory remembers. @param flags of the call that looked at it */
export function readOwner(dirfd: number, path: BytePath, flags: number): RecordedOwner {
  const { place, follow } = placeOf(dirfd, path, flags);
  const call = follow ? calls.getxattr : calls.lgetxattr;
  const length = call(cPath(place, 'getxattr'), OWNER, text, text.length);
  return length > 0 ? parseOwner(text.toString('latin1', 0, length)) : NOBODY;
}

/** Makes a file or directory remember. A file system that has no such attributes does not. */
export function writeOwner(dirfd: number, path: BytePath, flags: number, owner: RecordedOwner): void {
  const { place, follow } = placeOf(dirfd, path, flags);
  const value = formatOwner(owner);
  const target = cPath(place, 'setxattr');
  const bytes = Buffer.from(value ?? '');
  const done =
    value === undefined
      ? (follow ? calls.removexattr : calls.lremovexattr)(target, OWNER)
      : (follow ? calls.setxattr : calls.lsetxattr)(target, OWNER, bytes, bytes.length, 0);
  if (done >= 0) return;
  const errno = lastErrno();
  if (errno !== ENODATA && errno !== EOPNOTSUPP) throw sysError('setxattr', errno, path);
}
