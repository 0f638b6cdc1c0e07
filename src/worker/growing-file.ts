import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../util/index.ts';

const CHUNK = 256 << 10;
/** A decompressor may still read the pieces before. */
const BUFFERS = 8;
/** ms between two looks at a file that has nothing new. A fast network fills a chunk in 1 ms, a slow one is not kept up with. */
const LOOK = 3;

/**
 * The bytes of a file that somebody else writes right now, up to the size that it is to have. That none come any more is for the
 * signal to tell. A piece is valid for a while only.
 * @param paths where the file is while it grows, and where it is put when it is complete
 * @throws the signal's reason
 */
export async function* readGrowing(
  paths: readonly [growing: string, complete: string],
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const fd = open(paths);
  try {
    const buffers = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(CHUNK));
    for (let position = 0, index = 0; position < size;) {
      signal.throwIfAborted();
      const buffer = buffers[index % BUFFERS] as Buffer;
      const count = readSync(fd, buffer, 0, Math.min(CHUNK, size - position), position);
      if (count === 0) {
        // What it is woken with says only that it was; why, the signal does.
        await sleep(LOOK, undefined, { signal }).catch(() => signal.throwIfAborted());
        continue;
      }
      position += count;
      index++;
      yield count === CHUNK ? buffer : buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

/** It stays the same file when it is moved while it is open. */
function open([growing, complete]: readonly [string, string]): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
  try {
    return openSync(growing, flags);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return openSync(complete, flags);
  }
}
