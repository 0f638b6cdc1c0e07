import { check, libc, rawSyscall } from './native.ts';

const calls = {
  prctl: libc('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']),
  syncfs: libc('syncfs', 'int', ['int']),
  flock: libc('flock', 'int', ['int', 'int']),
  unshare: libc('unshare', 'int', ['int']),
  copyFileRange: rawSyscall('copy_file_range', ['int', 'uint8_t *', 'int', 'uint8_t *', 'size_t', 'uint']),
  ioctl: libc('ioctl', 'int', ['int', 'ulong', 'long']),
};

const PR_SET_PDEATHSIG = 1;

/** Asks the kernel to send `signal` to this process when the thread that started it ends (prctl(2)). */
export function setParentDeathSignal(signal: number): void {
  check(calls.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), 'prctl');
}

/** Writes everything of the file system that `fd` lies on to its disk (syncfs(2)). */
export function syncfs(fd: number): void {
  check(calls.syncfs(fd), 'syncfs');
}

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/** flock(2); with `LOCK_NB` a lock that is taken gives an error with code `EAGAIN`. */
export function flock(fd: number, operation: number): void {
  check(calls.flock(fd, operation), 'flock');
}

export const CLONE_NEWNS = 0x20000;

/** unshare(2). It concerns the calling thread: only flags such as `CLONE_NEWNS` make sense in a Node process. */
export function unshare(flags: number): void {
  check(calls.unshare(flags), 'unshare');
}

/** Copies up to `length` bytes between two files from their current offsets, inside the kernel; 0 at the end. */
export function copyFileRange(from: number, to: number, length: number): number {
  return check(calls.copyFileRange(from, null, to, null, length, 0), 'copy_file_range');
}

const FICLONE = 0x40049409;

/** Makes `to` share the blocks of `from`; false where the file systems cannot (ext4, or two of them). */
export function cloneFile(from: number, to: number): boolean {
  return calls.ioctl(to, FICLONE, from) >= 0;
}
