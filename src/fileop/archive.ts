import { readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { TarReader } from '../layer/tar-reader.ts';

type Kind = 'gzip' | 'bzip2' | 'xz' | 'zstd' | 'plain';

const MAGIC: readonly (readonly [Kind, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

const CHUNK = 1 << 18;

/** The decompressed bytes of a file, whose compression is told by its first bytes. The caller closes the fd. */
export async function* decompressed(fd: number): AsyncGenerator<Buffer, void, void> {
  const first = readChunk(fd);
  const kind = MAGIC.find(([, magic]) => magic.every((byte, index) => first[index] === byte))?.[0] ?? 'plain';
  const chunks = rest(fd, first);
  switch (kind) {
    case 'plain':
      yield* chunks;
      return;
    case 'gzip':
      yield* Readable.from(chunks).pipe(createGunzip({ chunkSize: CHUNK })) as AsyncIterable<Buffer>;
      return;
    case 'zstd':
      yield* Readable.from(chunks).pipe(createZstdDecompress({ chunkSize: CHUNK })) as AsyncIterable<Buffer>;
      return;
    case 'bzip2': {
      const { decodeBzip2 } = await import('./bzip2.ts');
      yield* decodeBzip2(chunks);
      return;
    }
    case 'xz': {
      const { decodeXz } = await import('./xz.ts');
      yield* decodeXz(chunks);
    }
  }
}

function* rest(fd: number, first: Buffer): Generator<Buffer, void, void> {
  for (let chunk = first; chunk.length > 0; chunk = readChunk(fd)) yield chunk;
}

function readChunk(fd: number): Buffer {
  const buffer = Buffer.allocUnsafe(CHUNK);
  return buffer.subarray(0, readSync(fd, buffer, 0, CHUNK, null));
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
