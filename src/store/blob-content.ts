import fs from 'node:fs';
import type { SyncContentProvider } from '../image/index.ts';
import type { BlobDir } from './blob-dir.ts';

const CHUNK = 1 << 20;

/** The blobs of a store as content of images. A damaged document is removed, so that it is fetched or made again. */
export function blobContent(blobs: BlobDir): SyncContentProvider {
  return {
    read: ({ digest, size }) => (blobs.has(digest) ? blobs.read(digest, size) : undefined),
    *stream({ digest }) {
      const { fd } = blobs.openRead(digest);
      try {
        const chunk = Buffer.allocUnsafe(CHUNK);
        for (let length = fs.readSync(fd, chunk); length > 0; length = fs.readSync(fd, chunk))
          yield chunk.subarray(0, length);
      } finally {
        fs.closeSync(fd);
      }
    },
  };
}
