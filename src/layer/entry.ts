import type { Timespec } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';

/** The kinds of archive entries. A contiguous file (type 7) and a sparse file are files. */
export type EntryType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/** A range of a sparse file that holds data. */
export interface SparseRegion {
  readonly offset: number;
  readonly length: number;
}

/** One member of a tar archive, as the archive states it: names are neither cleaned nor checked. */
export interface TarEntry {
  readonly path: ByteString;
  readonly type: EntryType;
  /** Permission bits, 0..07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the content; for sparse files with their holes. 0 for everything but files. */
  readonly size: number;
  readonly mtime: Timespec;
  /** Target of a symlink or hard link, else empty. */
  readonly linkPath: ByteString;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Values of `SCHILY.xattr.*` records by attribute name. */
  readonly xattrs?: ReadonlyMap<ByteString, Buffer>;
  readonly sparse?: readonly SparseRegion[];
}
