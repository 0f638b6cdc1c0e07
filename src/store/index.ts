/**
 * The store directory: blobs, layers, images, cache mounts, the index, locks and leases. `Store` needs node:sqlite and is
 * for the main process; `BlobDir` is files only and for the worker too.
 */
export type { AccountTable, StoredListing } from './accounts.ts';
export { blobContent } from './blob-content.ts';
export { BlobDir } from './blob-dir.ts';
export { BlobWriter } from './blob-writer.ts';
export type { ContainerHolds } from './container-holds.ts';
export { check } from './check.ts';
export type { Fact, FactTable } from './facts.ts';
export { collectLeftovers, type GarbageReport, hasLeftovers } from './garbage.ts';
export { formatHolder, type Holder, otherUsers } from './holders.ts';
export type { ImageBlobs } from './image-graph.ts';
export { holdImage } from './image-hold.ts';
export type { ImageTable } from './images.ts';
export type { LayerTable } from './layers.ts';
export { type StoreLayout, trustedLayout } from './layout.ts';
export type { Lease, LeaseKind, Leases } from './leases.ts';
export type { LogBuffer } from './log-buffer.ts';
export type { LogTable, StepLog } from './logs.ts';
export type { ReportTable, StoredReport } from './reports.ts';
export { copyOfMount, idOfMount, isPlainMount, mountId } from './mount-id.ts';
export type { MountTable } from './mounts.ts';
export { type MeasureBytes, overhead } from './overhead.ts';
export { isLimited, keepWithin, type PrunePolicy, type StoreLimits } from './limits.ts';
export { prune } from './prune.ts';
export { makeRoom } from './reserve.ts';
export type { RecordTable, StoredLink, StoredRecord } from './records.ts';
export type { StackTable } from './stacks.ts';
export { chainIds, imageLayerIds, Store } from './store.ts';
export type {
  BlobInfo,
  CacheMount,
  CheckOptions,
  CheckProblem,
  CheckReport,
  DirectoryUsage,
  Layer,
  LayerBlob,
  LayerPaths,
  LeaseNames,
  Lock,
  LockOptions,
  NewLayer,
  PruneOptions,
  PruneReport,
  RecordType,
  RemoveTrees,
  StoredImage,
  StoreOptions,
  StoreWarning,
  UsageRecord,
  UsageReport,
} from './types.ts';
export { isOfDirectory, sameStamp } from './stamp.ts';
export { DamageError, isDamageError } from './damage.ts';
export { du } from './usage.ts';
export { fullDiskHint, storeError } from './write-error.ts';
