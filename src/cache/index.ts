/**
 * What earlier builds left behind to be used again: cache records in the store's index, file digests by status.
 */

export {
  createIndexCache,
  type EncodedResult,
  IndexCache,
  type IndexCacheOptions,
  type ResultCodec,
} from './index-cache.ts';
export { StatCache } from './stat-cache.ts';
