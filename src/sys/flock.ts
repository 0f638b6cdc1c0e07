import { constants } from 'node:os';
import { lastErrno, libc, sysAvailable, sysError } from './native.ts';

const calls = { flock: libc('flock', 'int', ['int', 'int']) };

/** `LOCK_EX | LOCK_NB` of flock(2). */
const EXCLUSIVE_AT_ONCE = 2 | 4;

/**
 * Takes the exclusive lock of an open file (flock(2)), which ends when its last descriptor does: with the process at the latest.
 * @returns `busy` when somebody else has it; `unsupported` where the file system has no locks, or these calls cannot be made
 */
export function tryFlock(fd: number): 'locked' | 'busy' | 'unsupported' {
  if (!sysAvailable()) return 'unsupported';
  if (calls.flock(fd, EXCLUSIVE_AT_ONCE) >= 0) return 'locked';
  const errno = lastErrno();
  if (errno === constants.errno.EWOULDBLOCK) return 'busy';
  if (errno === constants.errno.EBADF) throw sysError('flock', errno);
  return 'unsupported';
}
