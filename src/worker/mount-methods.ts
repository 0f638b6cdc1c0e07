import type { PackedTree, TreeLimits } from '../chunks/index.ts';
import type { Digest } from '../util/index.ts';

/** Methods on cache mounts that travel. */
export interface MountMethods {
  /** Makes of a cache mount's files what has to be sent to have them elsewhere. */
  packMount(params: PackMountParams): PackedTree;
  /** Fills a new directory with the files of a cache mount from elsewhere; leaves it to the caller when that fails. */
  unpackMount(params: UnpackMountParams): { readonly bytes: number; readonly inodes: number };
}

/** A tree that was fetched. */
export interface FetchedTree {
  readonly path: string;
  /** Names it in messages. */
  readonly what: string;
}

/** A cache mount to be sent. */
export interface PackMountParams {
  /** Its directory, and the file with what is remembered of it. */
  readonly dir: string;
  readonly memory: string;
  /** An empty directory for what is made. */
  readonly into: string;
  /** What is there already. */
  readonly base?: FetchedTree;
  readonly limits: TreeLimits;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A cache mount to be filled. */
export interface UnpackMountParams {
  readonly tree: FetchedTree;
  /** Files with packs, by digest. */
  readonly packs: readonly (readonly [Digest, string])[];
  /** The directory, which is made; and the file for what is remembered of it. */
  readonly dir: string;
  readonly memory: string;
  /** A directory for what is needed meanwhile. */
  readonly work: string;
  readonly limits: TreeLimits;
  readonly now: number;
}
