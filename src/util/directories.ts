import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from './errors.ts';

/**
 * Makes a directory and those above it that are missing. In place of Node's recursive `mkdirSync`, which never returns where the
 * kernel answers ENOENT in a directory that exists, as it does in /proc.
 * @throws the system error
 */
export function makeDirectories(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { mode });
    return;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && statSync(path).isDirectory()) return;
    const parent = dirname(path);
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error;
    makeDirectories(parent, mode);
  }
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else may have been faster.
    if (errnoOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

/**
 * Makes a directory with exactly these permissions, whatever the umask: what steps and containers see belongs to them, and not to whoever
 * types the command.
 * @throws the system error
 */
export function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, { mode });
  chmodSync(path, mode);
}
