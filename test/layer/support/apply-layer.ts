import type { Compression } from '../../../src/image/index.ts';
import {
  type ArchiveSource,
  type DecompressLimits,
  LayerTarget,
  readContent,
  verifyContent,
} from '../../../src/layer/index.ts';
import type { ExtractedLayer, LayerTargetOptions } from '../../../src/layer/layer-target.ts';
import type { ContentRead } from '../../../src/layer/read-content.ts';
import type { ExpectedContent } from '../../../src/layer/verify-content.ts';

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
 * Extracts a layer blob into an empty directory as an overlay upper directory, by the parts that the worker has in two threads. The blob's size, and the
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
