import { readSync } from 'node:fs';

/** Reads up to `bytes` bytes from an fd's current offset, fewer only at the end of the file. */
export function readFull(fd: number, bytes: number): Uint8Array {
  const buffer = Buffer.alloc(bytes);
  let length = 0;
  while (length < bytes) {
    const count = readSync(fd, buffer, length, bytes - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}
