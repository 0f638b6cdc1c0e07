import { readSync } from 'node:fs';
import { canonicalDigest, type Digest, Hasher, sha256 } from '../util/index.ts';
import type { Xattr } from './node.ts';

const CHUNK = 1 << 20;
let chunk: Buffer | undefined;

/**
 * sha256 of what an fd gives from its current offset to the end. Synchronous, in 1 MiB chunks.
 * @param size expected bytes; small files are hashed in one call
 */
export function hashFile(fd: number, size: number): Digest {
  const buffer = (chunk ??= Buffer.allocUnsafeSlow(CHUNK));
  let length = readSync(fd, buffer, 0, CHUNK, null);
  // The caller compares the file's stat afterwards, so there is no need to look for more than `size`.
  if (length === size && length < CHUNK) return sha256(buffer.subarray(0, length));
  const hasher = new Hasher();
  while (length > 0) {
    hasher.update(buffer.subarray(0, length));
    length = readSync(fd, buffer, 0, CHUNK, null);
  }
  return hasher.digest();
}

/** sha256 of a file from its start to its end; the fd's own position stays. */
export function hashWhole(fd: number): Digest {
  const [buffer] = (pieces ??= [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)]);
  const hasher = new Hasher();
  for (let position = 0; ; position += PIECE) {
    const count = readFull(fd, buffer, position);
    hasher.update(buffer.subarray(0, count));
    if (count < PIECE) return hasher.digest();
  }
}

/** Reads at a position until the buffer is full or the file ends; the fd's own position stays. */
export function readFull(fd: number, buffer: Uint8Array, position: number): number {
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(fd, buffer, length, buffer.length - length, position + length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/**
 * Whether two files have the same content; the positions of the fds stay. Smaller pieces than for hashing: most files that differ do so
 * at their beginning.
 * @param ours an open file, or the bytes themselves
 */
export function sameContent(ours: number | Uint8Array, theirs: number): boolean {
  const [a, b] = (pieces ??= [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)]);
  for (let position = 0; ; position += PIECE) {
    const count = readFull(theirs, b, position);
    const bytes =
      typeof ours === 'number' ? a.subarray(0, readFull(ours, a, position)) : ours.subarray(position, position + PIECE);
    if (Buffer.compare(b.subarray(0, count), bytes) !== 0) return false;
    if (count < PIECE) return true;
  }
}

const PIECE = 1 << 18;
let pieces: readonly [Buffer, Buffer] | undefined;

/** One digest for a file's content and its extended attributes. */
export function contentIdentity(content: Digest, xattrs: readonly Xattr[]): Digest {
  if (xattrs.length === 0) return content;
  return canonicalDigest('tsbuild.xattrs.v1', [content, ...xattrs.flatMap(({ name, value }) => [name, value])]);
}
