import { readSync } from 'node:fs';
import { decompress, readChunks, TarReader } from '../layer/index.ts';
import { SNIFF_BYTES, sniffCompression } from '../util/index.ts';

/**
 * The decompressed bytes of a file, whose compression is told by its first bytes. The caller closes the fd.
 * Iterating throws TsbuildError `TSB_ARCHIVE` when it is damaged or a decompression bomb.
 */
export function decompressed(fd: number): AsyncGenerator<Buffer> {
  const head = Buffer.alloc(SNIFF_BYTES);
  const compression = sniffCompression(head.subarray(0, readSync(fd, head, 0, SNIFF_BYTES, 0)));
  return decompress(readChunks(fd), compression);
}

/** Whether a file is a tar archive with at least one entry, compressed or not. The caller closes the fd. */
export async function isArchive(fd: number): Promise<boolean> {
  let found = false;
  const reader = new TarReader({
    entry: () => {
      found = true;
    },
    data: () => {},
    end: () => {},
  });
  try {
    for await (const chunk of decompressed(fd)) {
      reader.push(chunk.subarray(0, 65_536));
      if (found || reader.ended) break;
    }
  } catch {
    // Neither a damaged stream nor something else entirely is an archive: it is copied as a file.
  }
  return found;
}
