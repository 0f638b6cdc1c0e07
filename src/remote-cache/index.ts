/** Caches of other machines: what `--cache-from` and `--cache-to` ask for, BuildKit's config format, reading (`ImportedCache`) and making (`collectCache`). */
export { type EdgeToCache, collectCache } from './collect.ts';
export { ImportedCache } from './imported-cache.ts';
export { decodeInlineCache, encodeInlineCache, MAX_INLINE_CACHE_BYTES } from './inline-config.ts';
export { parseCacheFrom, parseCacheTo } from './options.ts';
export {
  CACHE_CONFIG_TYPE,
  type CachedLayer,
  MAX_CACHE_CONFIG_BYTES,
  type RemoteConfig,
  decodeRemoteConfig,
  encodeRemoteConfig,
} from './remote-config.ts';
export type { CacheExport, CacheImport, OwnCacheExport } from './request.ts';
