import type { Compression } from '../image/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import type { DecompressLimits } from './decompress.ts';
import { type ExtractedLayer, LayerTarget, type LayerTargetOptions } from './layer-target.ts';
import { type ArchiveSource, type ContentRead, readContent } from './read-content.ts';

/** What a layer's blob must turn out to be. */
export interface ExpectedContent {
  readonly diffId?: Digest;
  readonly digest?: Digest;
  /** Bytes of the blob. */
  readonly size?: number;
}

/** A layer blob, and where its files go. */
export interface ApplyOptions extends LayerTargetOptions {
  readonly blob: ArchiveSource;
  readonly compression: Compression;
  /** What must come out; checked while streaming. */
  readonly expected?: ExpectedContent;
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
  /** Bytes of the blob that were read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** What was extracted, and what the blob was found to be. */
export interface ApplyResult extends ExtractedLayer, ContentRead {}

/**
 * Extracts a layer blob into an empty directory as an overlay upper directory, see `LayerTarget`. The blob's size, and the
 * digest of what is in it, are checked on the way; on any error the directory is empty again.
 * @throws TsbuildError `TSB_ARCHIVE` for a damaged or hostile archive, naming the entry; `TSB_DIGEST`; `TSB_NO_SPACE`
 */
export async function applyLayer(options: ApplyOptions): Promise<ApplyResult> {
  const { blob, expected = {} } = options;
  using target = new LayerTarget(options);
  const hashBlob = expected.digest !== undefined;
  const read = await readContent({ ...options, source: blob, hashBlob }, (piece) => target.push(piece));
  verifyContent(read, expected);
  return { ...read, ...target.finish() };
}

/** @throws TsbuildError `TSB_DIGEST` when a blob is not what it was said to be */
export function verifyContent(read: ContentRead, expected: ExpectedContent): void {
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
