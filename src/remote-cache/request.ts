import type { OutputCompression } from '../exporter/index.ts';
import type { Reference } from '../image/index.ts';
import type { ObjectStoreRequest } from '../object-store/index.ts';
import type { Digest } from '../util/index.ts';
import type { Author } from './steps/record.ts';

/** One `--cache-from`. */
export type CacheImport = StepCacheImport | BuildkitCacheImport;

/** A place where a cache of steps is kept. */
export type CachePlace =
  | { readonly type: 'registry'; readonly reference: Reference }
  | { readonly type: 'local'; readonly path: string }
  | { readonly type: 'objects'; readonly store: ObjectStoreRequest };

/** Which cache mounts travel, and within which bounds. */
export interface TravelingMounts {
  /** Ids as Dockerfiles have them; `all`: every one that a step uses. */
  readonly ids: readonly string[] | 'all';
  /** Most bytes of all files of one. */
  readonly maxBytes: number;
  /** How long a step waits for one, in milliseconds; then it begins without. Of what is read only. */
  readonly patienceMs: number;
}

/** A scope of a cache of steps, one record for each. */
export interface StepCacheImport {
  readonly type: 'steps';
  readonly place: CachePlace;
  /** Absent: that of the place, and whatever else is found there: BuildKit's form, or an image with a cache in it. */
  readonly scope?: string;
  /** Absent: whoever may write there is trusted. */
  readonly policy?: PolicySource;
  /** Cache mounts that are to be restored from there. */
  readonly mounts?: TravelingMounts;
}

/** A cache in BuildKit's form. */
export type BuildkitCacheImport =
  | { readonly type: 'registry'; readonly reference: Reference }
  | { readonly type: 'local'; readonly src: string; readonly tag?: string; readonly digest?: Digest };

/** One `--cache-to`. */
export type CacheExport = StepCacheExport | OwnCacheExport | InlineCacheExport;

/** A scope of a cache of steps that the steps of the build are written to. */
export interface StepCacheExport {
  readonly type: 'steps';
  readonly place: CachePlace;
  /** Absent: that of the place. */
  readonly scope?: string;
  /** `min`: results whose layers are all in the result of the build; `max`: all. */
  readonly mode: 'min' | 'max';
  readonly compression: OutputCompression;
  /** A cache that cannot be exported is a warning, else it fails the build. */
  readonly ignoreError: boolean;
  /** File of the key that records are signed with. */
  readonly keyFile?: string;
  readonly author: Author;
  /** Most bytes that the place may take. */
  readonly maxBytes?: number;
  /** What is used is kept from expiring when that was last done so many milliseconds ago. */
  readonly touchMs?: number;
  /** Cache mounts that are to be kept there. */
  readonly mounts?: TravelingMounts;
}

/** A cache in the config of the image: the steps whose layers are all in the image. */
export interface InlineCacheExport {
  readonly type: 'inline';
  /** Asked for, and the same as `min`: BuildKit's too. */
  readonly mode: 'min' | 'max';
}

/** A cache in BuildKit's form, in a place of its own. */
export type OwnCacheExport = CacheExportOptions &
  (
    | { readonly type: 'registry'; readonly reference: Reference }
    | { readonly type: 'local'; readonly dest: string; readonly tag: string }
  );

/** The form of a cache that is written. */
export interface CacheExportOptions {
  /** `min`: results whose layers are all in the result of the build; `max`: all. */
  readonly mode: 'min' | 'max';
  readonly compression: OutputCompression;
  /** An image manifest, else an index of blobs. */
  readonly imageManifest: boolean;
  /** False writes Docker's media types. */
  readonly ociMediaTypes: boolean;
  /** A cache that cannot be exported is a warning, else it fails the build. */
  readonly ignoreError: boolean;
}

/** What records of steps are held against: keys one of which must have signed each, or a file that says which keys for which scope. */
export type PolicySource = { readonly verifyKeys: readonly string[] } | { readonly policyFile: string };
