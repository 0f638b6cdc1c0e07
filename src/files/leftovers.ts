import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, type Stats, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { tryFlock } from '../sys/index.ts';
import { lockedPrefix } from './new-file.ts';

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * Deletes what killed processes left of a {@link NewFile} in a directory: files with such names, of the caller's own, of which nobody
 * holds the lock. Whatever is not known for sure to be one stays. Never fails.
 */
export function freeLeftovers(directory: string): void {
  try {
    const prefix = lockedPrefix();
    if (prefix === undefined) return;
    for (const name of readdirSync(directory))
      if (name.startsWith(prefix) && /^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length)))
        freeOne(join(directory, name));
  } catch {
    // What could not be looked at is found again by the next one.
  }
}

function freeOne(path: string): void {
  const seen = lstatSync(path, { throwIfNoEntry: false });
  if (seen === undefined || !seen.isFile() || seen.uid !== process.geteuid?.()) return;
  const fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (!isSame(fstatSync(fd), seen) || tryFlock(fd) !== 'locked') return;
    // With the lock nobody else writes it or gives it another name; it may have got one just before.
    const now = lstatSync(path, { throwIfNoEntry: false });
    if (now !== undefined && isSame(now, seen)) unlinkSync(path);
  } finally {
    closeSync(fd);
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
