import { check, libc } from './native.ts';

const calls = { syncfs: libc('syncfs', 'int', ['int']) };

/** Writes everything of the file system that `fd` lies on to its disk (syncfs(2)). */
export function syncfs(fd: number): void {
  check(calls.syncfs(fd), 'syncfs');
}
