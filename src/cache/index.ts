/**
 * What earlier builds left behind to be used again: cache records in the store's index, file digests by status. And
 * what builds elsewhere left: caches with BuildKit's config format, read (`ImportedCache`) and made (`collectCache`).
 */
export { collectCache, type EdgeToCache } from './collect.ts';
export { type KeyDifference, KeyHistory, type KeyParts } from './explain.ts';
export { ImportedCache } from './imported-cache.ts';
export {
  createIndexCache,
  type EncodedResult,
  IndexCache,
  type IndexCacheOptions,
  type ResultCodec,
} from './index-cache.ts';
export {
  CACHE_CONFIG_TYPE,
  type CachedLayer,
  decodeRemoteConfig,
  encodeRemoteConfig,
  MAX_CACHE_CONFIG_BYTES,
  type RemoteConfig,
} from './remote-config.ts';
export { StatCache } from './stat-cache.ts';
