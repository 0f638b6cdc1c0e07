import { linkat } from './at.ts';
import { AT_FDCWD, AT_SYMLINK_FOLLOW } from './constants.ts';
import { fileBatch } from './file-batch.ts';
import { sysAvailable, sysError } from './native.ts';

/** Whether {@link nameFile} can be called: a file that is made without a name could never get one elsewhere. */
export function canNameFiles(): boolean {
  // koffi takes 2 ms to load.
  return fileBatch() !== undefined || sysAvailable();
}

/**
 * Gives an open file that has no name (O_TMPFILE) one that nothing has.
 * @throws the system's error, such as `EEXIST`
 */
export function nameFile(fd: number, path: string): void {
  const batch = fileBatch();
  if (batch === undefined || path.includes('\0'))
    return linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
  const errno = batch.name(fd, Buffer.from(`${path}\0`));
  if (errno !== 0) throw sysError('linkat', errno, path);
}
