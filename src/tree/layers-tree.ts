import { close, fdPath, fstat, inodeKey, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, openat, statat } from '../sys/index.ts';
import { type Digest, fromErrno } from '../util/index.ts';
import { type ByteString, compareBytes, joinPath, toFsPath, toText } from './bytes.ts';
import type { HashedTree } from './checksum.ts';
import { contentIdentity, hashFile } from './content.ts';
import { closeMerged, findMerged, listMerged, type MergedDir, openMerged, openMergedRoot } from './merged-dir.ts';
import type { TreeNode, Xattr } from './node.ts';
import { statNode } from './stat-node.ts';
import { readXattrs } from './xattrs.ts';

/** How layers are read. */
export interface LayersOptions {
  /** Added to image ids on disk; subtracted from what is read. */
  readonly idShift: number;
}

/** A node, and where it is among what a directory is merged of. */
interface Found {
  readonly node: TreeNode;
  readonly at: number;
}

/** A directory merged from all layers that show through. */
export interface LayersDir {
  /** From the root (`''`). */
  readonly path: ByteString;
  readonly parent: LayersDir | undefined;
  readonly name: ByteString;
  readonly node: TreeNode;
  readonly children: Map<ByteString, LayersDir>;
  readonly nodes: Map<ByteString, Found | undefined>;
  names: readonly ByteString[] | undefined;
  /** Undefined while it is closed. */
  merged: MergedDir | undefined;
}

/** So many fds below the root are kept open; when there are more, all are closed, and those that are needed opened again. */
const MAX_OPEN = 512;

/**
 * The merged view of overlay layer directories, without mounting them. Layers are immutable, so what was seen once is kept. Handles
 * need not be left, and stay good when the tree was disposed: directories are opened again when something is asked of them.
 */
export class LayersTree implements HashedTree<LayersDir> {
  readonly root: LayersDir;
  readonly #layers: readonly string[];
  readonly #idShift: number;
  /** Directories below the root that are open. */
  #open: LayersDir[] = [];
  #openFds = 0;

  /**
   * @param layers directories, bottom first; none gives an empty tree
   * @throws TsbuildError `TSB_STORE` when one is missing
   */
  constructor(layers: readonly string[], options: LayersOptions) {
    this.#layers = layers;
    this.#idShift = options.idShift;
    const merged = openMergedRoot(this.#layers);
    const [top] = merged;
    const node = top === undefined ? emptyRoot : statNode(fstat(top), top, '', this.#idShift);
    this.root = newDir(undefined, '', node, merged);
  }

  /** Closes all directories. */
  [Symbol.dispose](): void {
    this.#closeOpen();
    if (this.root.merged) closeMerged(this.root.merged);
    this.root.merged = undefined;
  }

  list(dir: LayersDir): readonly ByteString[] {
    return (dir.names ??= listMerged(this.#merged(dir)).sort(compareBytes));
  }

  lookup(dir: LayersDir, name: ByteString): TreeNode | undefined {
    return this.#find(dir, name)?.node;
  }

  stat(dir: LayersDir): TreeNode {
    return dir.node;
  }

  enter(dir: LayersDir, name: ByteString): LayersDir {
    const known = dir.children.get(name);
    if (known) return known;
    this.#trim();
    const merged = openMerged(this.#merged(dir), name);
    const [top] = merged;
    if (top === undefined) throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a directory`);
    const child = newDir(dir, name, statNode(fstat(top), top, '', this.#idShift), merged);
    this.#keep(child, merged);
    dir.children.set(name, child);
    return child;
  }

  leave(): void {
    // Directories are closed when they are many, or with the tree.
  }

  open(dir: LayersDir, name: ByteString): number {
    try {
      return openat(this.#holder(dir, name), toFsPath(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      throw fromErrno(error, `Cannot read "/${toText(joinPath(dir.path, name))}" of a layer`, 'TSB_STORE');
    }
  }

  close(fd: number): void {
    close(fd);
  }

  xattrs(dir: LayersDir, name: ByteString, node: TreeNode): readonly Xattr[] {
    if (node.type !== 'file') return [];
    return readXattrs(fdPath(this.#holder(dir, name), toFsPath(name)), this.#idShift);
  }

  openXattrs(fd: number): readonly Xattr[] {
    return readXattrs(fd, this.#idShift);
  }

  contentDigest(dir: LayersDir, name: ByteString, node: TreeNode): Digest {
    const fd = this.open(dir, name);
    try {
      return contentIdentity(hashFile(fd, node.size), this.openXattrs(fd));
    } finally {
      this.close(fd);
    }
  }

  /** What a directory is merged of: where it is the same in two trees, so is everything beneath it. */
  identity(dir: LayersDir): string {
    return this.#merged(dir)
      .map((fd) => inodeKey(fstat(fd)))
      .join(' ');
  }

  /** Which file of the disk shows under a name that is there: where it is the same in two trees, it need not be compared. */
  inode(dir: LayersDir, name: ByteString): string {
    return inodeKey(statat(this.#holder(dir, name), toFsPath(name)));
  }

  #find(dir: LayersDir, name: ByteString): Found | undefined {
    if (dir.nodes.has(name)) return dir.nodes.get(name);
    const merged = this.#merged(dir);
    const found = findMerged(merged, name);
    const known = found && {
      node: statNode(found.stat, found.dirfd, name, this.#idShift),
      at: merged.indexOf(found.dirfd),
    };
    dir.nodes.set(name, known);
    return known;
  }

  /** The fd of the directory that has what shows under a name. */
  #holder(dir: LayersDir, name: ByteString): number {
    const found = this.#find(dir, name);
    const fd = found && this.#merged(dir)[found.at];
    if (fd === undefined) throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not there`);
    return fd;
  }

  /** The fds of a directory, good until the next call of `#trim`. */
  #merged(dir: LayersDir): MergedDir {
    if (dir.merged) return dir.merged;
    if (!dir.parent) return (dir.merged = openMergedRoot(this.#layers));
    this.#trim();
    // From the nearest open ancestor down; a loop, since trees may be deep.
    const closed: LayersDir[] = [];
    let at: LayersDir = dir;
    for (; at.parent && !at.merged; at = at.parent) closed.push(at);
    let merged = (at.merged ??= openMergedRoot(this.#layers));
    for (const step of closed.toReversed()) {
      merged = openMerged(merged, step.name);
      step.merged = merged;
      this.#keep(step, merged);
    }
    return merged;
  }

  #keep(dir: LayersDir, merged: MergedDir): void {
    this.#open.push(dir);
    this.#openFds += merged.length;
  }

  #trim(): void {
    if (this.#openFds > MAX_OPEN) this.#closeOpen();
  }

  #closeOpen(): void {
    for (const dir of this.#open) {
      if (dir.merged) closeMerged(dir.merged);
      dir.merged = undefined;
    }
    this.#open = [];
    this.#openFds = 0;
  }
}

const emptyRoot: TreeNode = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  linkname: '',
};

function newDir(parent: LayersDir | undefined, name: ByteString, node: TreeNode, merged: MergedDir): LayersDir {
  const path = parent ? joinPath(parent.path, name) : '';
  return { path, parent, name, node, children: new Map(), nodes: new Map(), names: undefined, merged };
}
