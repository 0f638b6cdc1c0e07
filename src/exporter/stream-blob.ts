import { closeSync, readSync } from 'node:fs';
import { DamageError } from '../store/index.ts';
import { type Digest, Hasher } from '../util/index.ts';
import type { BlobSource } from './archive.ts';

const CHUNK = 256 * 1024;
/** Chunks in turn: a socket may still hold the ones before. */
const BUFFERS = 8;

/**
 * The bytes of a blob of the store, each chunk valid until some later ones were read. Like `copyBlob`, for who takes instead of being given:
 * the end is reached only when size and digest are right, so that a request whose body this is never completes with wrong bytes.
 * @param start the first byte that is wanted; what is before is read as well, for the sake of the digest
 * @throws TsbuildError `TSB_NOT_FOUND`; DamageError `TSB_DIGEST`, and the blob is removed, so that it is made anew
 */
export function* streamBlob(
  blobs: BlobSource,
  { digest, size }: { readonly digest: Digest; readonly size: number },
  start = 0,
): Generator<Uint8Array> {
  const { fd, size: actual } = blobs.openRead(digest);
  try {
    if (actual !== size) throw damaged(blobs, digest);
    const hasher = blobs.isAsWritten(digest, fd) ? undefined : new Hasher();
    const ring = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(Math.min(CHUNK, Math.max(size, 1))));
    let read = 0;
    for (let turn = 0; ; turn++) {
      const buffer = ring[turn % BUFFERS] as Buffer;
      const length = readSync(fd, buffer, 0, buffer.length, read);
      if (length === 0) break;
      const chunk = buffer.subarray(0, length);
      hasher?.update(chunk);
      const wanted = Math.max(0, start - read);
      read += length;
      // The last chunk is handed out once it is known that all were right.
      if (read >= size && (read > size || (hasher !== undefined && hasher.digest() !== digest)))
        throw damaged(blobs, digest);
      if (wanted < length) yield chunk.subarray(wanted);
    }
    if (read !== size) throw damaged(blobs, digest);
  } finally {
    closeSync(fd);
  }
}

function damaged(blobs: BlobSource, digest: Digest): DamageError {
  blobs.remove(digest);
  return new DamageError('TSB_DIGEST', `Cannot read blob ${digest}: it is damaged in the store and was removed`, {
    hint: 'run the command again, the blob is fetched or built again',
  });
}
