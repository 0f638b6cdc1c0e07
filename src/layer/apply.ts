import { close, AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';
import {
  type ArchiveCompression,
  type Digest,
  Hasher,
  SNIFF_BYTES,
  sniffCompression,
  TsbuildError,
} from '../util/index.ts';
import type { Compression } from '../image/index.ts';
import { DEFAULT_LIMITS, decompress, type DecompressLimits, readChunks } from './decompress.ts';
import { Extractor } from './extractor.ts';
import { closeLowerDir, type LowerDir, openLowerRoots } from './lower-stack.ts';
import { emptyDir } from './remove-tree.ts';
import { TarReader } from './tar-reader.ts';
import { WindowsFiles } from './windows-form.ts';

/** A file by path or fd, or its chunks (each valid until the next is asked for). */
export type ArchiveSource = string | number | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface ApplyOptions {
  readonly blob: ArchiveSource;
  readonly compression: Compression;
  /** What must come out; checked while streaming. */
  readonly expected?: { readonly diffId?: Digest; readonly digest?: Digest; readonly size?: number };
  /** An empty directory: becomes the layer in the form of an overlay upper directory. */
  readonly target: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  /** Added to every owner; the sub-id range's start when tsbuild runs as root. */
  readonly idShift: number;
  /** How many ids can be stored, 65536 when absent. */
  readonly idCount?: number;
  /** The layer has the form of those of Windows images: only the file tree in it is extracted. */
  readonly windows?: boolean;
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
  /** Bytes of the blob that were read so far. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ApplyResult {
  readonly diffId: Digest;
  /** Of the blob. */
  readonly digest: Digest;
  readonly size: number;
  /** Content and inodes of the directory. */
  readonly bytes: number;
  readonly inodes: number;
  /** Device nodes and such that were left out; the first hundred. */
  readonly skipped: readonly ByteString[];
}

const DEFAULT_ID_COUNT = 65_536;

/**
 * Extracts a layer blob into an empty directory as an overlay upper directory (image-spec layer.md; whiteouts become
 * character devices 0:0 and `user.overlay.opaque`). The blob's digest and size, and the digest of what is in it, are
 * checked on the way; on any error the directory is empty again.
 * @throws TsbuildError `TSB_ARCHIVE` for a damaged or hostile archive, naming the entry; `TSB_DIGEST`; `TSB_NO_SPACE`
 */
export async function applyLayer(options: ApplyOptions): Promise<ApplyResult> {
  const { expected = {}, idShift, idCount = DEFAULT_ID_COUNT, lowers, target } = options;
  const rootFd = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  let lowerRoots: LowerDir = [];
  let extractor: Extractor | undefined;
  let complete = false;
  try {
    lowerRoots = openLowerRoots(lowers);
    extractor = new Extractor({ rootFd, layer: true, lowers: lowerRoots, idShift, idCount });
    const handler = options.windows ? new WindowsFiles(extractor) : extractor;
    const read = await readArchive({ ...options, source: options.blob, handler });
    verify(read, expected);
    extractor.finish();
    complete = true;
    const { bytes, inodes, skipped } = extractor;
    return { ...read, bytes, inodes, skipped };
  } finally {
    extractor?.dispose();
    closeLowerDir(lowerRoots);
    if (!complete) emptyDir(rootFd);
    close(rootFd);
  }
}

export interface ExtractArchiveOptions {
  readonly source: ArchiveSource;
  /** Found out from the first bytes when absent. */
  readonly compression?: ArchiveCompression;
  /** An open directory of a mounted tree; the archive's root. */
  readonly rootFd: number;
  readonly idShift: number;
  readonly idCount?: number;
  /** Replaces the owners that the archive states. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
}

/**
 * Extracts an archive (plain or compressed tar) into a mounted tree, as `ADD` does: existing directories stay, files are
 * replaced, symlinks are resolved within the root, `.wh.` names mean nothing.
 * @throws TsbuildError `TSB_ARCHIVE` naming the entry
 */
export async function extractArchive(
  options: ExtractArchiveOptions,
): Promise<{ readonly bytes: number; readonly inodes: number; readonly skipped: readonly ByteString[] }> {
  const { rootFd, idShift, idCount = DEFAULT_ID_COUNT, owner } = options;
  const extractor = new Extractor({
    rootFd,
    layer: false,
    lowers: [],
    idShift,
    idCount,
    ...(owner === undefined ? {} : { owner }),
  });
  try {
    await readArchive({ ...options, handler: extractor });
    extractor.finish();
    return { bytes: extractor.bytes, inodes: extractor.inodes, skipped: extractor.skipped };
  } finally {
    extractor.dispose();
  }
}

export interface ReadArchiveOptions {
  readonly source: ArchiveSource;
  readonly compression?: ArchiveCompression;
  readonly handler: ConstructorParameters<typeof TarReader>[0];
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Reads a tar archive to its end and hashes it on the way, both as it is and decompressed.
 * @throws TsbuildError `TSB_ARCHIVE`, or what the handler throws
 */
export async function readArchive(
  options: ReadArchiveOptions,
): Promise<{ readonly diffId: Digest; readonly digest: Digest; readonly size: number }> {
  const { source, handler, limits = DEFAULT_LIMITS, signal, onProgress } = options;
  const blob = new Hasher();
  const content = new Hasher();
  const reader = new TarReader(handler);
  const chunks = typeof source === 'string' || typeof source === 'number' ? readChunks(source) : source;
  const [compression, input] =
    options.compression === undefined ? await sniffed(chunks) : [options.compression, chunks];
  const plain = compression === 'none';
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      signal?.throwIfAborted();
      blob.update(chunk);
      onProgress?.(blob.size);
      yield chunk;
    }
  }
  for await (const chunk of decompress(watched(), compression, limits)) {
    signal?.throwIfAborted();
    if (!plain) content.update(chunk);
    reader.push(chunk);
  }
  reader.finish();
  const digest = blob.digest();
  return { diffId: plain ? digest : content.digest(), digest, size: blob.size };
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

function verify(
  read: { readonly diffId: Digest; readonly digest: Digest; readonly size: number },
  expected: NonNullable<ApplyOptions['expected']>,
): void {
  if (expected.size !== undefined && read.size !== expected.size)
    throw mismatch(`the blob has ${read.size} bytes instead of ${expected.size}`);
  if (expected.digest !== undefined && read.digest !== expected.digest)
    throw mismatch(`the blob's digest is ${read.digest} instead of ${expected.digest}`);
  if (expected.diffId !== undefined && read.diffId !== expected.diffId)
    throw mismatch(`the digest of its content is ${read.diffId}, but the image's config says ${expected.diffId}`);
}

function mismatch(reason: string): TsbuildError {
  return new TsbuildError('TSB_DIGEST', `Cannot extract the layer: ${reason}`);
}
