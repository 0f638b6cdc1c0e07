import type { Digest } from '../util/index.ts';
import type { ByteString } from './bytes.ts';

/** What a file is, with names for what `S_IFMT` numbers. */
export type NodeType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'char' | 'block';

/** An extended attribute that new layers keep: `security.capability` is the only one. */
export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

/** What a tree knows of one of its files. Owners are those of the image: 0:0 throughout a build context, unshifted in layers. */
export interface TreeNode {
  readonly type: NodeType;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content, 0 for anything but files. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Target of a symlink, raw; `''` otherwise. */
  readonly linkname: ByteString;
  /** Set on files with several names: equal for names of the same file within one tree. */
  readonly hardlink?: string;
  /** Device number of `char` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * A file tree that can be read beneath its root only. Implemented by build contexts (`ContextTree`), stacks of layer
 * directories (`LayersTree`) and mounted roots (`FsTree`). `D` is the tree's handle of a directory. Everything is
 * synchronous; names are byte strings without slashes and never `.` or `..`; no method follows a symlink.
 */
export interface ReadableTree<D> {
  readonly root: D;
  /** Names in a directory, in byte order. */
  list(dir: D): readonly ByteString[];
  /** The node of a name, or undefined when there is none. */
  lookup(dir: D, name: ByteString): TreeNode | undefined;
  /** The node of a directory itself. */
  stat(dir: D): TreeNode;
  /** Handle of a child that `lookup` said is a directory; give it back with `leave`. */
  enter(dir: D, name: ByteString): D;
  leave(dir: D): void;
  /** Opens a file's content for reading. Close the fd with `close` of the same tree, which checks that the file did not change. */
  open(dir: D, name: ByteString, node: TreeNode): number;
  close(fd: number, dir: D, name: ByteString, node: TreeNode): void;
  /** Attributes of a file that new layers keep; nothing else has any. */
  xattrs(dir: D, name: ByteString, node: TreeNode): readonly Xattr[];
  /** The same for a file that is open already, which is much faster. */
  openXattrs(fd: number): readonly Xattr[];
  /**
   * The digest of a file's content, for trees that have it without the content; undefined where only `open` tells. A file that has
   * one has no attributes.
   */
  knownContent?(dir: D, name: ByteString): Digest | undefined;
  /** Told the sha256 of a file's content by who has read it all, with its attributes, before `close`. For trees that keep digests. */
  learnContent?(dir: D, name: ByteString, node: TreeNode, content: Digest, xattrs: readonly Xattr[]): void;
}

/** Metadata of a file that is made. */
export interface NodeAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Undefined: the time at which it is made. */
  readonly mtimeNs: bigint | undefined;
  readonly xattrs: readonly Xattr[];
}

/** Content of a file that is made. */
export interface FileContent {
  readonly size: number;
  /** Whether the file has more names where its content is, which the new one may get, too. */
  readonly hasMoreNames?: boolean;
  /** Opens for reading from the start; close with `close`. */
  open(): number;
  close(fd: number): void;
  /** Extended attributes that the file gets from where its content is, besides those it is given. */
  xattrs(fd: number): readonly Xattr[];
  /** See `ReadableTree.learnContent`; `xattrs` are those of `xattrs(fd)`. */
  learn?(content: Digest, xattrs: readonly Xattr[]): void;
}

/**
 * A tree that can be changed beneath its root only: a mounted root (`FsTree`) or changes kept in memory on top of layers
 * (`OverlayTree`). Directories changed by others than `setAttributes` get the present time as mtime.
 */
export interface WritableTree<D> extends ReadableTree<D> {
  /** Makes a directory; the name is free. */
  mkdir(dir: D, name: ByteString, attributes: NodeAttributes): void;
  /** Makes a file; the name is free. */
  createFile(dir: D, name: ByteString, attributes: NodeAttributes, content: FileContent | Uint8Array): void;
  /** Replaces the content of an existing file and keeps its metadata, but for the mtime. */
  truncateFile(dir: D, name: ByteString, content: Uint8Array): void;
  symlink(dir: D, name: ByteString, target: ByteString, attributes: NodeAttributes): void;
  /** Makes a fifo; the name is free. */
  mkfifo(dir: D, name: ByteString, attributes: NodeAttributes): void;
  /** Gives a file a second name; the name is free. `target` is a path from the root without symlinks in it. */
  link(target: ByteString, dir: D, name: ByteString): void;
  /** Changes metadata of what exists; `name` `''` is the directory itself. Fields left out stay. */
  setAttributes(dir: D, name: ByteString, attributes: Partial<NodeAttributes>): void;
  /** Removes a name and all below it. */
  remove(dir: D, name: ByteString): void;
}

const TYPES: Readonly<Record<number, NodeType>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o010000: 'fifo',
  0o140000: 'socket',
  0o020000: 'char',
  0o060000: 'block',
};

/** The type that a `st_mode` names. */
export function nodeType(mode: number): NodeType {
  return TYPES[mode & 0o170000] ?? 'char';
}
