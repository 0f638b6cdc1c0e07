import type { Timespec } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';

/** An object that has many chunks, one after the other, as one zstd frame. */
export interface Pack {
  /** Of the compressed bytes. */
  readonly digest: Digest;
  /** Bytes, compressed. */
  readonly size: number;
  /** Bytes of its chunks. */
  readonly length: number;
}

/** A piece of a file's content, and where it is. */
export interface Chunk {
  /** Of its content. */
  readonly digest: Digest;
  /** Bytes. */
  readonly length: number;
  /** Number of its pack in the tree. */
  readonly pack: number;
  /** Of its first byte in the pack's content. */
  readonly offset: number;
}

/** One name of a directory tree. Nothing else travels: no devices, sockets or pipes, and of a file with several names each for itself. */
export interface TreeEntry {
  /** Relative to the root, whose own is `''`. */
  readonly path: ByteString;
  readonly type: 'directory' | 'file' | 'symlink';
  /** Permission bits; without those by which a program gets other rights than its user's. */
  readonly mode: number;
  /** As a step sees them. */
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timespec;
  /** Of a symlink; never followed here. */
  readonly target?: ByteString;
  /** Content of a file: numbers of chunks in the tree. */
  readonly chunks?: readonly number[];
}

/** A directory tree as chunks: everything about it but the bytes. */
export interface ChunkTree {
  readonly packs: readonly Pack[];
  readonly chunks: readonly Chunk[];
  /** Sorted by path, so that a directory comes before what is in it. The first is the root. */
  readonly entries: readonly TreeEntry[];
}

/** How much of a tree may travel. */
export interface TreeLimits {
  /** Bytes of all its files. */
  readonly bytes: number;
  /** Names in it. */
  readonly entries: number;
}

/** Names that a tree may have at most. */
export const MAX_ENTRIES = 500_000;

/** Bytes of the longest path that travels: Linux takes no longer one (PATH_MAX). */
export const MAX_PATH = 4095;

/** Seconds from the epoch, either way, of the latest and the earliest time that travels: some 35,000 years. */
export const MAX_SECONDS: number = 2 ** 40;

/** The modes that travel: who may do what, sticky and group-inheriting directories, but no file that runs as somebody else. */
export function travelingMode(type: TreeEntry['type'], mode: number): number {
  if (type === 'symlink') return 0o777;
  return type === 'directory' ? mode & 0o3777 : mode & 0o777;
}
