import { type Digest, sha256, TsbuildError } from '../util/index.ts';
import type { Descriptor } from './descriptor.ts';

/**
 * Where the documents and blobs of images are: a store, a layout in a directory or an archive, a repository of a registry.
 * A provider answers for where the bytes lie, not for what they are: whoever reads compares size and digest, once, so that
 * no provider can forget to. test/suites/content-provider.ts states what all of them hold to.
 */
export interface ContentProvider {
  /**
   * A small blob in one piece; undefined when it is not there. Bytes are not verified, but there are never more of them
   * than `descriptor.size`.
   * @throws TsbuildError `TSB_DIGEST` when it is longer than that, and whatever keeps it from being read
   */
  read(descriptor: Descriptor): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /**
   * The bytes of a blob, not verified, in chunks that are only valid until the next one.
   * @throws TsbuildError `TSB_NOT_FOUND` when it is not there
   */
  stream(descriptor: Descriptor): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** A provider whose bytes lie on this machine. */
export interface SyncContentProvider extends ContentProvider {
  read(descriptor: Descriptor): Uint8Array | undefined;
  stream(descriptor: Descriptor): Iterable<Uint8Array>;
}

/** @throws TsbuildError `TSB_DIGEST` when a blob has more bytes than its descriptor says */
export function refuseSize(digest: Digest, size: number, actual: number, what: string): void {
  if (actual > size) throw wrongSize(digest, size, actual, what);
}

/**
 * Compares the bytes of a document with its descriptor.
 * @throws TsbuildError `TSB_DIGEST`
 */
export function verifyDocument(bytes: Uint8Array, { digest, size }: Descriptor, what: string): void {
  if (bytes.length !== size) throw wrongSize(digest, size, bytes.length, what);
  if (sha256(bytes) !== digest)
    throw new TsbuildError('TSB_DIGEST', `Cannot use ${what}: the content of ${digest} has another digest`);
}

/**
 * Reads a document and verifies it.
 * @param maxBytes the largest size to accept
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_IMAGE` when it is too large, `TSB_DIGEST`
 */
export function readDocument(
  provider: SyncContentProvider,
  descriptor: Descriptor,
  maxBytes: number,
  what: string,
): Uint8Array {
  const { digest, size } = descriptor;
  if (size > maxBytes) throw tooLarge(descriptor, maxBytes, what);
  const bytes = provider.read(descriptor);
  if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: ${digest} is missing`);
  verifyDocument(bytes, descriptor, what);
  return bytes;
}

/** The error of a document that is larger than what is read of its kind. */
export function tooLarge({ digest, size }: Descriptor, maxBytes: number, what: string): TsbuildError {
  return new TsbuildError(
    'TSB_IMAGE',
    `Cannot use ${what}: document ${digest} has ${size} bytes, more than the limit of ${maxBytes}`,
  );
}

function wrongSize(digest: Digest, size: number, actual: number, what: string): TsbuildError {
  return new TsbuildError(
    'TSB_DIGEST',
    `Cannot use ${what}: document ${digest} has ${actual} bytes, its descriptor says ${size}`,
  );
}
