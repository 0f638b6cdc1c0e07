import { closeSync, openSync, readSync } from 'node:fs';
import { decompress, readChunks, TarReader } from '../layer/index.ts';
import { isTsbuildError, SNIFF_BYTES, sniffCompression } from '../util/index.ts';

/**
 * The time of the newest file in a tar archive, compressed or not, in whole seconds since the epoch; undefined when the file is no
 * archive or an empty one.
 */
export async function newestEntry(path: string): Promise<number | undefined> {
  let newest: number | undefined;
  const reader = new TarReader({
    entry: ({ type, mtime }) => {
      if (type === 'file') newest = Math.max(newest ?? 0, mtime.sec);
    },
    data: () => {},
    end: () => {},
  });
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(SNIFF_BYTES);
    const compression = sniffCompression(head.subarray(0, readSync(fd, head, 0, SNIFF_BYTES, 0)));
    for await (const chunk of decompress(readChunks(fd), compression)) reader.push(chunk);
    reader.finish();
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return undefined;
  } finally {
    closeSync(fd);
  }
  return newest;
}
