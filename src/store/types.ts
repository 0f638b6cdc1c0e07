import type { Compression, Descriptor } from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { Holder } from './holders.ts';

/** What a record of the store is, in BuildKit's words where it has one (`buildx du`). */
export type RecordType =
  | 'regular'
  | 'internal'
  | 'frontend'
  | 'source.local'
  | 'source.image'
  | 'source.git.checkout'
  | 'source.http'
  | 'exec.cachemount'
  | 'image'
  | 'blob'
  | 'log'
  | 'report';

/** A problem that the store worked around. Whoever opened the store shows it. */
export interface StoreWarning {
  readonly code: 'index-rebuilt' | 'index-unwritable' | 'index-row-damaged' | 'layer-changed';
  readonly message: string;
}

/** What a store needs of its surroundings. */
export interface StoreOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Identity of this boot; read from /proc/sys/kernel/random/boot_id when absent. */
  readonly bootId?: string;
  readonly onWarning?: (warning: StoreWarning) => void;
  /** For commands that free space: on a full disk the store's reserve is given up, so that they can work. */
  readonly makeRoom?: boolean;
  /**
   * The process ends after this, and leaves the index as one that is killed does, as long as its log is small: whoever is last to close it
   * waits for the disk four times over, for what is in the log when it ends, and for a new log when it begins.
   */
  readonly leavesIndex?: boolean;
}

/**
 * How files of directories have owners: as this or that id on disk, or remembered by files that all belong to one. What is the same number
 * is the same; 0 is no form.
 */
export type DirectoryForm = number;

/** What a process makes that never said what its form is. */
export const ANY_FORM: DirectoryForm = 1;

/** Bytes of a blob that are in place. */
export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** One compressed form of a layer. */
export interface LayerBlob {
  readonly compression: Compression;
  readonly descriptor: Descriptor;
}

/** One layer: a directory with what it changes, or blobs with the same content as tar, or both. */
export interface Layer {
  readonly id: string;
  /** Layer ids beneath it when it was made, bottom first. */
  readonly parents: readonly string[];
  /** The same list as the id of a stack. */
  readonly beneath: string;
  readonly diffId?: Digest;
  /** Whether `snapshots/<id>/fs` is complete. False for a directory that a power cut may have damaged, or that nobody measured. */
  readonly fs: boolean;
  readonly blobs: readonly LayerBlob[];
  readonly type: RecordType;
  readonly description: string;
  /** Bytes and inodes of the directory; 0 while there is none. */
  readonly bytes: number;
  readonly inodes: number;
  /** What the directory looked like when it was complete, for `sameStamp`; absent while the process that made it has yet to measure it. */
  readonly stamp?: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly usedAt: number;
}

/** A layer that has neither directory nor blob yet. */
export interface NewLayer {
  /** Hex of the chain id for image layers, so that pulls share them; a random id when absent. */
  readonly id?: string;
  readonly parents: readonly string[];
  readonly type?: RecordType;
  readonly description?: string;
  readonly diffId?: Digest;
  /** When it was made, ms since the epoch, for one that was made elsewhere. Default: now. */
  readonly createdAt?: number;
}

/** What is known of a layer's directory. */
export interface DirectoryUsage {
  readonly bytes: number;
  readonly inodes: number;
  /** The worker's `usage` makes it; without it nobody can tell later whether the directory changed. */
  readonly stamp?: string;
  /** It is on disk and survives a power cut. */
  readonly synced?: boolean;
}

/** Where a layer's directory is. `fs` is an overlay upper directory, `work` its work directory. */
export interface LayerPaths {
  readonly dir: string;
  readonly fs: string;
  readonly work: string;
}

/** A named image of the local image store. */
export interface StoredImage {
  /** Normalised reference, e.g. `docker.io/library/debian:12-slim`. */
  readonly name: string;
  /** Of a manifest or an index in the blob directory. */
  readonly descriptor: Descriptor;
  readonly createdAt: number;
}

/** A persistent directory of `RUN --mount=type=cache`. */
export interface CacheMount {
  readonly id: string;
  readonly description: string;
  readonly bytes: number;
  readonly inodes: number;
  readonly createdAt: number;
  readonly usedAt: number;
}

/** Layers, blobs and cache mounts that a lease keeps alive. */
export interface LeaseNames {
  readonly layers?: Iterable<string>;
  readonly blobs?: Iterable<Digest>;
  readonly mounts?: Iterable<string>;
}

/** A lock that is held until disposed or until the process dies, however it dies. */
export interface Lock extends AsyncDisposable {
  readonly name: string;
  release(): void;
}

/** How patient a waiter is. */
export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Gives up after so many ms of waiting; waits forever when absent. */
  readonly timeoutMs?: number;
  /** Called once when the lock is not free at once, with the processes that hold it, as far as they can be seen. */
  readonly onWait?: (holders: readonly Holder[]) => void;
}

/** Deletes directory trees whose files may belong to sub-ids. What it is given is gone when it resolves. */
export interface RemoveTrees {
  (paths: readonly string[]): Promise<void>;
  /** Starts what deletes, for who knows that there will be something. It ends with its work; disposing ends one that got none. */
  readonly prepare?: () => Promise<Disposable>;
}

/** One line of `tsbuild du`. */
export interface UsageRecord {
  readonly type: RecordType;
  readonly id: string;
  readonly description: string;
  /** Bytes on disk that are counted with this record; every blob is counted once. */
  readonly size: number;
  /** Named by an image as well, or by more than one record. */
  readonly shared: boolean;
  /** Named by the lease of a running build. */
  readonly inUse: boolean;
  /** The layer right beneath, if there is one (as in BuildKit, not all ancestors). */
  readonly parents: readonly string[];
  readonly createdAt: number;
  readonly usedAt: number;
}

/** What `tsbuild du` shows. */
export interface UsageReport {
  readonly records: readonly UsageRecord[];
  /** Sum of the sizes. */
  readonly totalBytes: number;
  /** What `prune --all` would give back. */
  readonly reclaimableBytes: number;
}

/** What may go. Without options: all that no image and no running build needs. */
export interface PruneOptions {
  readonly removeTrees: RemoveTrees;
  /** Takes records that named images use and internal ones too. Blobs of named images always stay. */
  readonly all?: boolean;
  /** Removes least recently used records only until so many bytes are left, of those that `filter` is about. */
  readonly keepStorageBytes?: number;
  /**
   * Removes them until the whole store takes at most so many bytes on disk, its index and what the file system rounds up included; in the end also
   * what would be spared without `all`.
   */
  readonly maxBytes?: number;
  /** The same until the file system has so many bytes left. */
  readonly minFreeBytes?: number;
  /** Spares what was used in the last so many ms. */
  readonly untilMs?: number;
  /** Spares what it says no to. */
  readonly filter?: (record: UsageRecord) => boolean;
  /** Says what would go, and changes nothing. */
  readonly dryRun?: boolean;
  /** With `dryRun`: what would go if there were no named images. */
  readonly withoutImages?: boolean;
  /** Told what goes before anything of it goes, with the bytes that this will give back. */
  readonly onChosen?: (records: readonly UsageRecord[], bytes: number) => Promise<void>;
  /** See `LockOptions`. */
  readonly onWait?: LockOptions['onWait'];
  readonly signal?: AbortSignal;
}

/** What went. */
export interface PruneReport {
  readonly removed: readonly UsageRecord[];
  /** Bytes given back; leftovers of killed builds are not counted. */
  readonly freedBytes: number;
  /** Bytes that running builds use, which stay. */
  readonly inUseBytes: number;
  /** Why nothing was removed at all, if so. */
  readonly skipped?: string;
}

/** Something in the store that is not what it should be. */
export interface CheckProblem {
  readonly kind:
    | 'index-damaged'
    | 'index-row-damaged'
    | 'layer-directory-changed'
    | 'blob-digest'
    | 'blob-name'
    | 'layer-directory-missing'
    | 'layer-blob-missing'
    | 'layer-empty'
    | 'layer-unsynced'
    | 'layer-unmeasured'
    | 'record-dangling'
    | 'image-malformed'
    | 'image-blob-missing'
    | 'orphan-directory'
    | 'orphan-ingest';
  /** The digest, layer id, record id, image name or path that it is about. */
  readonly subject: string;
  readonly message: string;
  /** An orphan: harmless, costs space only. */
  readonly harmless: boolean;
  readonly repaired: boolean;
}

/** How thorough a check is. */
export interface CheckOptions {
  /** Removes what is damaged, so that it is fetched or built again. Needs `removeTrees`. */
  readonly repair?: boolean;
  readonly removeTrees?: RemoveTrees;
  /** Gives the stamps of directories; without it nobody looks whether directories were changed. */
  readonly measure?: (paths: readonly string[]) => Promise<readonly string[]>;
  /** See `LockOptions`. */
  readonly onWait?: LockOptions['onWait'];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a check found. */
export interface CheckReport {
  readonly problems: readonly CheckProblem[];
  readonly blobs: number;
  readonly layers: number;
  readonly bytes: number;
}
