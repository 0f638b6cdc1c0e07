import { close, fdPath, O_NOFOLLOW, O_RDONLY, openat } from '../sys/index.ts';
import { type ByteString, toFsPath } from './bytes.ts';
import { hashWhole, sameContent } from './content.ts';
import type { MergedName } from './merged-dir.ts';
import type { ReadableTree, TreeNode, Xattr } from './node.ts';
import { statNode } from './stat-node.ts';
import { readXattrs } from './xattrs.ts';
import { type Digest, sha256 } from '../util/index.ts';

/** What a layer holds of a file besides its content and extended attributes. */
export type NodeState = Pick<TreeNode, 'type' | 'mode' | 'uid' | 'gid' | 'size' | 'mtimeNs' | 'linkname' | 'device'>;

/** A file in one of the two places that are compared. */
export interface ComparedFile {
  readonly node: NodeState;
  /**
   * Hands over what the node does not tell, good during the call: an open file's fd, the bytes, or the digest of what is not here; nothing
   * but for files.
   */
  look<T>(use: (xattrs: readonly Xattr[], content: number | Uint8Array | Digest) => T): T;
}

/**
 * Whether a file is the same in two places, in everything that a layer holds of it; so that a layer needs no entry for it. Times are
 * compared to the nanosecond. What is in a directory does not count.
 */
export function isUnchanged(ours: ComparedFile, theirs: ComparedFile): boolean {
  if (!sameNode(ours.node, theirs.node)) return false;
  const { type } = ours.node;
  if (type === 'symlink') return true;
  return ours.look((xattrs, content) =>
    theirs.look((others, other) => sameXattrs(xattrs, others) && (other === NOTHING || isSameContent(content, other))),
  );
}

function isSameContent(ours: number | Uint8Array | Digest, theirs: number | Uint8Array | Digest): boolean {
  if (typeof ours !== 'string' && typeof theirs === 'number') return sameContent(ours, theirs);
  return digestOf(ours) === digestOf(theirs);
}

function digestOf(content: number | Uint8Array | Digest): Digest {
  if (typeof content === 'string') return content;
  return typeof content === 'number' ? hashWhole(content) : sha256(content);
}

function sameNode(a: NodeState, b: NodeState): boolean {
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.linkname === b.linkname &&
    a.device?.major === b.device?.major &&
    a.device?.minor === b.device?.minor
  );
}

/** Attributes come in the order of their names. */
function sameXattrs(a: readonly Xattr[], b: readonly Xattr[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, value }, index) => name === b[index]?.name && Buffer.compare(value, b[index].value) === 0)
  );
}

const NOTHING = new Uint8Array();

/** A file of a tree, to be compared. */
export function fileOfTree<D>(tree: ReadableTree<D>, dir: D, name: ByteString, node: TreeNode): ComparedFile {
  return {
    node,
    look(use) {
      if (node.type !== 'file') return use(tree.xattrs(dir, name, node), NOTHING);
      const known = tree.knownContent?.(dir, name);
      if (known !== undefined) return use([], known);
      const fd = tree.open(dir, name, node);
      try {
        return use(tree.openXattrs(fd), fd);
      } finally {
        tree.close(fd, dir, name, node);
      }
    },
  };
}

/** A file in an open directory, to be compared. */
export function fileAt({ dirfd, stat }: MergedName, name: ByteString, idShift: number): ComparedFile {
  const node = statNode(stat, dirfd, name, idShift);
  return {
    node,
    look(use) {
      if (node.type !== 'file') return use(readXattrs(fdPath(dirfd, toFsPath(name)), idShift), NOTHING);
      const fd = openat(dirfd, toFsPath(name), O_RDONLY | O_NOFOLLOW);
      try {
        return use(readXattrs(fd, idShift), fd);
      } finally {
        close(fd);
      }
    },
  };
}
