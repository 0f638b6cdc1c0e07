/**
 * Linux calls that Node lacks, or that are much faster with a directory fd than by a /proc/self/fd path. All are
 * synchronous and throw errors in the form of Node's own (`code` is the errno name). koffi is loaded at the first call.
 */
export {
  close,
  fchmodat,
  fchown,
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
export {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  MNT_DETACH,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from './constants.ts';
export { makeFilesAs } from './file-ids.ts';
export { type FileBatch, fileBatch, openFileBatch, STATE_WORDS } from './file-batch.ts';
export { tryFlock } from './flock.ts';
export { type MountOptions, mountOverlay, type OverlayOptions, umount } from './mount.ts';
export { type BytePath, checkBindings, fdPath, sysAvailable, type SysError } from './native.ts';
export { OWNER_LIMIT, recordOwners } from './owners.ts';
export { type StartedProgram, startProgram } from './start-program.ts';
export { syncfs } from './syncfs.ts';
export { canNameFiles, nameFile } from './unnamed.ts';
export {
  type FileStat,
  type FileState,
  fstat,
  inodeKey,
  isInState,
  type OwnedFileState,
  statat,
  statatIfExists,
} from './stat.ts';
export { getXattr, listXattrs, setXattr, type XattrTarget } from './xattr.ts';
