/**
 * What earlier builds left behind to be used again: cache records in the store's index, file digests by status.
 */

export { type KeyDifference, KeyHistory, type KeyParts } from './explain.ts';
export {
  createIndexCache,
  type EncodedResult,
  IndexCache,
  type IndexCacheOptions,
  type ResultCodec,
} from './index-cache.ts';
export { StatCache } from './stat-cache.ts';
