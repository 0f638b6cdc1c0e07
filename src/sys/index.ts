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
export * from './constants.ts';
export { tryFlock } from './flock.ts';
export { type MountOptions, mountOverlay, type OverlayOptions, umount } from './mount.ts';
export { type BytePath, checkBindings, fdPath, sysAvailable, type SysError } from './native.ts';
export { syncfs } from './syncfs.ts';
export { type FileStat, type FileState, fstat, inodeKey, isInState, statat, statatIfExists } from './stat.ts';
export { getXattr, listXattrs, setXattr, type XattrTarget } from './xattr.ts';
