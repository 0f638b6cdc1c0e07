import { type Digest, hexOf, sha256 } from './digest.ts';

/**
 * The node id of a cache key without inputs, the same in every cache: an op that has none, or (output -1) the content of an input.
 */
export function leafKey(digest: Digest, output: number): string {
  return hexOf(sha256(`${digest}@${output}`));
}
