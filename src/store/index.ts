import type { Descriptor, Digest } from '../util/index.ts';
import type * as t from './types.ts';
export type * from './types.ts';

export declare class BlobWriter {
  /** Bytes written so far. */
  readonly size: number;
  readonly path: string;
  write(chunk: Uint8Array): void;
  commit(expected?: { digest?: Digest; size?: number }): t.BlobInfo;
  abort(): void;
  [Symbol.dispose](): void;
}
/** Files only; safe in the worker: `new BlobDir(root, session)` with `store.session()` from the main process. */
export declare class BlobDir {
  constructor(root: string, session?: string);
  has(digest: Digest): boolean;
  path(digest: Digest): string;
  info(digest: Digest): t.BlobInfo | undefined;
  /** A file descriptor the caller closes, and the size in bytes. @throws TSB_NOT_FOUND */
  openRead(digest: Digest): { readonly fd: number; readonly size: number };
  /** Whole small blob (manifest, config), verified. @throws TSB_NOT_FOUND, TSB_DIGEST */
  read(digest: Digest, maxBytes?: number): Buffer;
  ingest(): BlobWriter;
  put(bytes: Uint8Array | string): t.BlobInfo;
  verify(digest: Digest): boolean;
  remove(digest: Digest): void;
  list(): Iterable<t.BlobInfo>;
}
export declare class LayerTable {
  get(id: string): t.Layer | undefined;
  /** False when one of them is not there or has neither directory nor blob. */
  usable(ids: readonly string[]): boolean;
  /** Makes the row, held by the lease; an existing id is kept as it is. */
  create(layer: t.NewLayer, lease: Lease): string;
  paths(id: string): t.LayerPaths;
  /** Discards leftovers, makes empty fs and work directories. Call under `store.lock('layer-' + id)`. */
  prepareDirectory(id: string): t.LayerPaths;
  /** The directory is complete. `synced`: flushed to disk, survives a power cut. */
  setFs(id: string, usage: { bytes: number; inodes: number; synced?: boolean }): void;
  markSynced(ids: Iterable<string>): void;
  addBlob(id: string, blob: t.LayerBlob & { diffId: Digest }): void;
  /** Forgets one blob of a layer, e.g. after it was found damaged. */
  dropBlob(id: string, digest: Digest): void;
  byDiffId(diffId: Digest): readonly t.Layer[];
  touch(ids: Iterable<string>): void;
  list(): readonly t.Layer[];
}
export declare class ImageTable {
  put(name: string, descriptor: Descriptor): void;
  get(name: string): t.StoredImage | undefined;
  list(): readonly t.StoredImage[];
  remove(name: string): boolean;
}
export declare class MountTable {
  /** Makes the directory if need be; returns its path. */
  ensure(id: string, lease: Lease, description?: string): string;
  setUsage(id: string, usage: { bytes: number; inodes: number }): void;
  list(): readonly t.CacheMount[];
}
export declare class Lease {
  readonly id: string;
  /** Holds what is there; returns the ids of layers that are not. */
  hold(names: t.LeaseNames): { readonly missingLayers: readonly string[] };
  release(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
export declare class Leases {
  create(): Lease;
}
export declare class Store {
  static open(root: string, options: t.StoreOptions): Store;
  readonly root: string;
  readonly blobs: BlobDir;
  readonly layers: LayerTable;
  readonly images: ImageTable;
  readonly mounts: MountTable;
  readonly leases: Leases;
  /** Id that marks this process's temporary files; pass it to the worker's BlobDir. */
  session(): string;
  lock(name: string, options?: t.LockOptions): Promise<t.Lock>;
  close(): void;
  [Symbol.dispose](): void;
}
export declare function du(store: Store): t.UsageReport;
export declare function prune(store: Store, options: t.PruneOptions): Promise<t.PruneReport>;
export declare function check(store: Store, options?: t.CheckOptions): Promise<t.CheckReport>;
/** Removes leftovers of killed builds. */
export declare function collectGarbage(store: Store, removeTrees: t.RemoveTrees): Promise<{ readonly removed: number }>;
/** BuildKit's filter syntax: `type==regular`, `id~=abc`, `description~=foo`, `inuse`, `shared`, `private`, `!shared`. */
export declare function parseFilters(filters: readonly string[]): (record: t.UsageRecord) => boolean;
