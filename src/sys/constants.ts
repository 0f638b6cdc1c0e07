import { constants } from 'node:fs';

/** Stands for the current directory where a directory fd is expected. */
export const AT_FDCWD = -100;
/** A link at the end of the path is meant itself. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** linkat(2): a link at the end of the path leads to what is meant, as `/proc/self/fd/N` does to an open file. */
export const AT_SYMLINK_FOLLOW = 0x400;
/** unlinkat(2) as rmdir. */
export const AT_REMOVEDIR = 0x200;
/** The call is about the fd itself; the path is empty. */
export const AT_EMPTY_PATH = 0x1000;

/** Opens for reference only: no permission on the file is needed, devices and fifos are not touched. */
export const O_PATH = 0o10000000;
export const O_CLOEXEC = 0o2000000;
/** A file without a name in the directory that is opened. The same on all processors that Node runs on, but for O_DIRECTORY within. */
export const O_TMPFILE: number = 0o20000000 | constants.O_DIRECTORY;
export const O_RDONLY: number = constants.O_RDONLY;
export const O_WRONLY: number = constants.O_WRONLY;
export const O_CREAT: number = constants.O_CREAT;
export const O_EXCL: number = constants.O_EXCL;
export const O_TRUNC: number = constants.O_TRUNC;
export const O_DIRECTORY: number = constants.O_DIRECTORY;
export const O_NOFOLLOW: number = constants.O_NOFOLLOW;
export const O_NONBLOCK: number = constants.O_NONBLOCK;

/** `resolve` flags of openat2(2). */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** Nothing on the way may lead out of the directory. */
export const RESOLVE_BENEATH = 0x08;

/** The file type bits of a mode, and the types. */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** umount2(2): gone from here at once, and for good when nobody uses it any more. */
export const MNT_DETACH = 2;
