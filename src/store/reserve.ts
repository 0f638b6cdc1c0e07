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
 * Keeps some space back, so that a store on a full disk can still be opened to free some. Made once; never fails, for a store does
 * without, too.
 */
export function keepReserve({ reserve, root }: StoreLayout): void {
  if (fs.existsSync(reserve) || exhausted(root, ROOM)) return;
  try {
    fs.mkdirSync(reserve, { mode: 0o700 });
  } catch {
    // Another process makes it at this moment, and it is that one's to complete or to remove.
    return;
  }
  try {
    const zeros = Buffer.alloc(FILE_BYTES);
    for (let number = 0; number < FILES; number++)
      fs.writeFileSync(join(reserve, String(number)), zeros, { mode: 0o600 });
  } catch {
    // Half of it is as good as none, and would never be completed.
    giveUp(reserve);
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
