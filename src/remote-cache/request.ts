import type { OutputCompression } from '../exporter/index.ts';
import type { Reference } from '../image/index.ts';
import type { Digest } from '../util/index.ts';

/** One `--cache-from`. */
export type CacheImport =
  | { readonly type: 'registry'; readonly reference: Reference }
  | { readonly type: 'local'; readonly src: string; readonly tag?: string; readonly digest?: Digest };

/** One `--cache-to`. */
export type CacheExport = OwnCacheExport | InlineCacheExport;

/** A cache in the config of the image: the steps whose layers are all in the image. */
export interface InlineCacheExport {
  readonly type: 'inline';
  /** Asked for, and the same as `min`: BuildKit's too. */
  readonly mode: 'min' | 'max';
}

/** A cache in a place of its own. */
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
