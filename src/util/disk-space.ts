import fs from 'node:fs';
import { dirname } from 'node:path';

/** Space on a file system; `inodes` is how many files and directories there may be more. */
export interface Space {
  readonly bytes: number;
  readonly inodes: number;
}

/** What a file system with next to nothing left has less of: what SQLite and a few small files need. */
const FULL: Space = { bytes: 1 << 17, inodes: 4 };

/**
 * What the file system of `path` has less of than `wanted`, if anything; by default, what there is next to nothing left of. What does
 * not exist yet counts as its parent.
 */
export function exhausted(path: string, wanted: Space = FULL): 'bytes' | 'inodes' | undefined {
  const left = spaceAt(path);
  if (left.bytes < wanted.bytes) return 'bytes';
  return left.inodes < wanted.inodes ? 'inodes' : undefined;
}

/** Infinity for what the file system does not count. */
function spaceAt(path: string): Space {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize, blocks, files, ffree } = fs.statfsSync(at);
      return { bytes: blocks > 0 ? bavail * bsize : Infinity, inodes: files > 0 ? ffree : Infinity };
    } catch {
      if (at === dirname(at)) return { bytes: Infinity, inodes: Infinity };
    }
  }
}
