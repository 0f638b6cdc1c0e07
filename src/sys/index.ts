/**
 * Linux calls that Node lacks, or that are much faster with a directory fd than by a /proc/self/fd path. All are
 * synchronous and throw errors in the form of Node's own (`code` is the errno name). koffi is loaded at the first call.
 */
export {
  close,
  fchmodat,
  fchownat,
  linkat,
  mkdirat,
  mknodat,
  openat,
  openat2,
  type OpenHow,
  readlinkat,
  renameat2,
  symlinkat,
  type Timespec,
  unlinkat,
  utimensat,
} from './at.ts';
// By name: the bundler sends who imports one straight to its file.
export {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  AT_SYMLINK_FOLLOW,
  AT_REMOVEDIR,
  O_TMPFILE,
  O_RDONLY,
  O_WRONLY,
  O_CREAT,
  O_EXCL,
  O_TRUNC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  S_IFMT,
  S_IFLNK,
  S_IFREG,
  S_IFBLK,
  S_IFDIR,
  S_IFCHR,
  S_IFIFO,
  RENAME_NOREPLACE,
  RENAME_EXCHANGE,
  MS_BIND,
  MNT_DETACH,
} from './constants.ts';
export { tryFlock } from './flock.ts';
export { type MountOptions, mountOverlay, type OverlayOptions, umount } from './mount.ts';
export { type BytePath, checkBindings, fdPath, sysAvailable, type SysError } from './native.ts';
export { syncfs } from './syncfs.ts';
export { type FileStat, type FileState, fstat, inodeKey, isInState, statat, statatIfExists } from './stat.ts';
export { getXattr, listXattrs, setXattr, type XattrTarget } from './xattr.ts';
