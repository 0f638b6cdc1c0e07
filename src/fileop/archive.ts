import { DEFAULT_LIMITS, decompress, readChunks, SNIFF_BYTES, sniffCompression, TarReader } from '../layer/index.ts';
import { TsbuildError } from '../util/index.ts';
import { readSync } from 'node:fs';

/**
 * The decompressed bytes of a file, whose compression is told by its first bytes. The caller closes the fd.
 * @throws TsbuildError `TSB_ARCHIVE` when it is damaged or a decompression bomb
 */
export async function* decompressed(fd: number): AsyncGenerator<Buffer, void, void> {
  const head = Buffer.alloc(SNIFF_BYTES);
  const compression = sniffCompression(head.subarray(0, readSync(fd, head, 0, SNIFF_BYTES, 0)));
  switch (compression) {
    case 'bzip2': {
      const { decodeBzip2 } = await import('./bzip2.ts');
      yield* limited(fd, decodeBzip2);
      return;
    }
    case 'xz': {
      const { decodeXz } = await import('./xz.ts');
      yield* limited(fd, decodeXz);
      return;
    }
    default:
      yield* decompress(readChunks(fd), compression);
  }
}

/** A decoder within the bounds that `decompress` keeps for other formats; lets others run between blocks. */
async function* limited(
  fd: number,
  decode: (chunks: Iterable<Uint8Array>) => Generator<Buffer, void, void>,
): AsyncGenerator<Buffer, void, void> {
  const { maxBytes, maxRatio, ratioFrom } = DEFAULT_LIMITS;
  let read = 0;
  let written = 0;
  function* input(): Generator<Uint8Array> {
    for (const chunk of readChunks(fd)) {
      read += chunk.length;
      yield chunk;
    }
  }
  for (const block of decode(input())) {
    written += block.length;
    if (written > maxBytes || (written > ratioFrom && written > read * maxRatio)) {
      throw new TsbuildError('TSB_ARCHIVE', `Cannot decompress the archive: ${read} bytes became more than ${written}`);
    }
    yield block;
    await new Promise((resolve) => setImmediate(resolve));
  }
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
