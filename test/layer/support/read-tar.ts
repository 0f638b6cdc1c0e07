import { type TarEntry, TarReader } from '../../../src/layer/index.ts';

export interface ReadEntry extends TarEntry {
  /** The content with holes filled. */
  readonly data: Buffer;
}

/** Reads an archive in chunks of one size. */
export function readTar(archive: Buffer, chunkSize: number = archive.length || 1): ReadEntry[] {
  const entries: ReadEntry[] = [];
  let data: Buffer = Buffer.alloc(0);
  const reader = new TarReader({
    entry: (found) => {
      data = Buffer.alloc(Math.min(found.size, 1 << 24));
    },
    data: (chunk, offset) => chunk.copy(data, offset),
    end: (found) => entries.push({ ...found, data }),
  });
  for (let at = 0; at < archive.length; at += chunkSize) reader.push(archive.subarray(at, at + chunkSize));
  reader.finish();
  return entries;
}
