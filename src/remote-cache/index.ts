/**
 * Caches of other machines: what `--cache-from` and `--cache-to` ask for; one record for each step (steps/), read by `SharedCache` and written by
 * `StepExporter`; cache mounts that travel (mounts/); summaries of the trees of base images (trees/); BuildKit's config format, reading (`ImportedCache`) and making (`collectCache`).
 */
export { type EdgeToCache, collectCache } from './collect.ts';
export { ImportedCache } from './imported-cache.ts';
export { decodeInlineCache, encodeInlineCache, MAX_INLINE_CACHE_BYTES } from './inline-config.ts';
export { fetchMountBlobs, findMount, type Trust } from './mounts/find.ts';
export { type MountBlob, type MountName, mountRecordName, type MountRecord } from './mounts/record.ts';
export { type MountTarget, PackGone, sendMount, touchMount } from './mounts/send.ts';
export { allMounts, travels } from './option-types/mounts.ts';
export { parseCacheFrom, parseCacheTo } from './options.ts';
export {
  CACHE_CONFIG_TYPE,
  type CachedLayer,
  MAX_CACHE_CONFIG_BYTES,
  type RemoteConfig,
  decodeRemoteConfig,
  encodeRemoteConfig,
} from './remote-config.ts';
export type {
  BuildkitCacheImport,
  CacheExport,
  CacheImport,
  CachePlace,
  OwnCacheExport,
  StepCacheExport,
  StepCacheImport,
  TravelingMounts,
} from './request.ts';
export { isSignedBy, openEnvelope, seal } from './steps/envelope.ts';
export { readSigningKey, readVerifyKey, type SigningKey, type VerifyKey } from './steps/keys.ts';
export { ObjectPlace } from './steps/object-place.ts';
export type { LayerToPut, PutOutcome, StepPlace } from './steps/place.ts';
export { type Policy, readPolicy, trustAll } from './steps/policy.ts';
export { type Author, decodeRecord, encodeRecord, type StepRecord } from './steps/record.ts';
export { type CachePruneRule, forgetIndexes, type Pruned, pruneObjects } from './steps/prune.ts';
export { pruneRegistry } from './steps/prune-registry.ts';
export { isCacheManifest, RegistryPlace } from './steps/registry-place.ts';
export { SharedCache } from './shared-cache.ts';
export { type ExportReport, StepExporter, type StepLayers } from './steps/step-exporter.ts';
export { encodeTreeRecord, treeRecordName } from './trees/record.ts';
export { sendTreeSummary } from './trees/send.ts';
