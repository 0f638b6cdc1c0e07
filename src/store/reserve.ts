import fs from 'node:fs';
import { join } from 'node:path';
import { exhausted } from '../util/index.ts';
import type { StoreLayout } from './layout.ts';

/** The reserve: so many files of so many bytes. SQLite, locks and sessions want both, bytes and inodes, before anything can be freed. */
const FILES = 16;
const FILE_BYTES = 128 * 1024;

/** A disk with less than this has no room for a reserve, and is full: bytes and inodes. */
const ROOM = { bytes: 32 << 20, inodes: 1024 };
const FULL = { bytes: 1 << 20, inodes: 32 };

/**
 * Keeps some space back, so that a store on a full disk can still be opened to free some. Made once, and completed where whoever made it was
 * killed; never fails, for a store does without, too.
 */
export function keepReserve({ reserve, root }: StoreLayout): void {
  if (isWhole(reserve) || exhausted(root, ROOM)) return;
  try {
    fs.mkdirSync(reserve, { recursive: true, mode: 0o700 });
    const zeros = Buffer.alloc(FILE_BYTES);
    for (let number = 0; number < FILES; number++) {
      const path = join(reserve, String(number));
      // Another process may be making it at this moment.
      if (fs.statSync(path, { throwIfNoEntry: false })?.size !== FILE_BYTES)
        fs.writeFileSync(path, zeros, { mode: 0o600 });
    }
  } catch {
    // Half of it is as good as none.
    giveUp(reserve);
  }
}

function isWhole(reserve: string): boolean {
  try {
    return fs.readdirSync(reserve).length >= FILES;
  } catch {
    return false;
  }
}

/**
 * Gives the reserve back to a disk that is full, for commands that free space. Where there is none, what was remembered of files of
 * build contexts goes, which costs the next build the time to hash them.
 */
export function makeRoom(layout: StoreLayout): void {
  if (!isFull(layout.root)) return;
  giveUp(layout.reserve);
  if (!isFull(layout.root)) return;
  giveUp(layout.statcache);
  try {
    fs.mkdirSync(layout.statcache, { mode: 0o700 });
  } catch {
    // Not even an inode: opening the store says so.
  }
}

/** Whether a file system has next to nothing left. */
export function isFull(dir: string): boolean {
  return exhausted(dir, FULL) !== undefined;
}

/** Deletes what can be deleted. Another process may write into it meanwhile; what that leaves is the next command's to delete. */
function giveUp(dir: string): void {
  try {
    fs.rmSync(dir, { recursive: true, force: true });
  } catch {
    // Room was made by what went; whether it is enough shows in the next write.
  }
}
