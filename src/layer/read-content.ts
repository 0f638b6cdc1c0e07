import { type ArchiveCompression, type Digest, Hasher, SNIFF_BYTES, sniffCompression } from '../util/index.ts';
import { DEFAULT_LIMITS, decompress, type DecompressLimits, readChunks } from './decompress.ts';

/** A file by path or fd, or its chunks (each valid until the next is asked for). */
export type ArchiveSource = string | number | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** An archive that is to be read, and within which limits. */
export interface ReadContentOptions {
  readonly source: ArchiveSource;
  /** Found out from the first bytes when absent. */
  readonly compression?: ArchiveCompression;
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
  /** Hash the archive as it is, too. What its content is known by makes that needless. */
  readonly hashBlob?: boolean;
  /** Bytes of the archive that were read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** What an archive was found to be. */
export interface ContentRead {
  /** Of the content. */
  readonly diffId: Digest;
  /** Of the archive as it is, where that was asked for. */
  readonly digest?: Digest;
  /** Bytes of the archive. */
  readonly size: number;
}

/**
 * Reads an archive to its end, and gives its decompressed bytes away in pieces, which are hashed on the way.
 * @param take a piece is valid until it returns, or what it returns resolves; what it throws ends the reading
 * @throws TsbuildError `TSB_ARCHIVE` for what cannot be decompressed
 */
export async function readContent(
  options: ReadContentOptions,
  take: (piece: Buffer) => void | Promise<void>,
): Promise<ContentRead> {
  const { source, limits = DEFAULT_LIMITS, signal, onProgress } = options;
  const chunks = typeof source === 'string' || typeof source === 'number' ? readChunks(source) : source;
  const [compression, input] =
    options.compression === undefined ? await sniffed(chunks) : [options.compression, chunks];
  const content = new Hasher();
  const blob = options.hashBlob && compression !== 'none' ? new Hasher() : undefined;
  let size = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      signal?.throwIfAborted();
      blob?.update(chunk);
      size += chunk.length;
      onProgress?.(size);
      yield chunk;
    }
  }
  for await (const piece of decompress(watched(), compression, limits)) {
    signal?.throwIfAborted();
    content.update(piece);
    const taken = take(piece);
    if (taken) await taken;
    if (compression === 'gzip' || compression === 'zstd') release(piece);
  }
  const diffId = content.digest();
  if (!options.hashBlob) return { diffId, size };
  return { diffId, digest: blob?.digest() ?? diffId, size };
}

/** Looks at the first bytes, and gives them back with the rest. */
async function sniffed(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<[ArchiveCompression, AsyncIterable<Uint8Array>]> {
  const iterator = (async function* all(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  })();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < SNIFF_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* again(): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head;
    yield* iterator;
  }
  return [sniffCompression(head), again()];
}

/**
 * Frees what zlib wrote a piece to, at once: left to the collector, hundreds of megabytes would keep it busy and pile up. zlib takes a
 * new buffer when one is full, so whoever has the last piece of it has it alone.
 */
function release({ buffer, byteOffset, length }: Buffer): void {
  if (byteOffset + length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
