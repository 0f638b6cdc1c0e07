import { constants } from 'node:os';
import { fileBatch } from './file-batch.ts';
import { lastErrno, libc, sysAvailable, sysError } from './native.ts';

const calls = { flock: libc('flock', 'int', ['int', 'int']) };

/** `LOCK_EX | LOCK_NB` of flock(2). */
const EXCLUSIVE_AT_ONCE = 2 | 4;

/**
 * Takes the exclusive lock of an open file (flock(2)), which ends when its last descriptor does: with the process at the latest.
 * @returns `busy` when somebody else has it; `unsupported` where the file system has no locks, or these calls cannot be made
 */
export function tryFlock(fd: number): 'locked' | 'busy' | 'unsupported' {
  const errno = flock(fd);
  if (errno === 0) return 'locked';
  if (errno === undefined) return 'unsupported';
  if (errno === constants.errno.EWOULDBLOCK) return 'busy';
  if (errno === constants.errno.EBADF) throw sysError('flock', errno);
  return 'unsupported';
}

/** @returns 0, an errno, or undefined where nothing can make the call */
function flock(fd: number): number | undefined {
  // koffi takes 2 ms to load.
  const batch = fileBatch();
  if (batch) return batch.lock(fd);
  if (!sysAvailable()) return undefined;
  return calls.flock(fd, EXCLUSIVE_AT_ONCE) >= 0 ? 0 : lastErrno();
}
