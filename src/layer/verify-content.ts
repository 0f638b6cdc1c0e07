import { type Digest, TsbuildError } from '../util/index.ts';
import type { ContentRead } from './read-content.ts';

/** What a layer's blob must turn out to be. */
export interface ExpectedContent {
  readonly diffId?: Digest;
  readonly digest?: Digest;
  /** Bytes of the blob. */
  readonly size?: number;
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
