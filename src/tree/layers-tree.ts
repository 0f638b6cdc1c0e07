import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { getXattr } from '../sys/index.ts';
import { type Digest, fromErrno, TsbuildError } from '../util/index.ts';
import { type ByteString, compareBytes, joinPath, toByteString, toFsPath, toText } from './bytes.ts';
import { contentIdentity, hashFile } from './content.ts';
import type { HashedTree } from './checksum.ts';
import { nodeType, type TreeNode, type Xattr } from './node.ts';
import { readXattrs } from './xattrs.ts';

/** Remembers digests of files of layers. `layer` is the layer's directory; layers never change. */
export interface LayerDigests {
  get(layer: string, path: ByteString): Digest | undefined;
  put(layer: string, path: ByteString, digest: Digest): void;
}

/** How layers are read. */
export interface LayersOptions {
  /** Added to image ids on disk; subtracted from what is read. */
  readonly idShift: number;
  readonly digests?: LayerDigests;
}

/** A node and where it is. */
export interface LayerNode extends TreeNode {
  /** Absolute path on the host. */
  readonly source: ByteString;
  /** Index into the layers, 0 is the bottom. */
  readonly layer: number;
}

/** A directory merged from all layers that show through. */
export interface MergedDir {
  /** From the root (`''`). */
  readonly path: ByteString;
  readonly node: LayerNode;
  /** Top first: the layer's index and the directory's absolute path. */
  readonly parts: readonly { readonly layer: number; readonly path: ByteString }[];
  readonly children: Map<ByteString, MergedDir>;
  readonly nodes: Map<ByteString, LayerNode | undefined>;
  names: readonly ByteString[] | undefined;
}

/**
 * The merged view of overlay layer directories, without mounting them: whiteouts (character device 0:0), opaque
 * directories (`user.overlay.opaque`) and files over directories are honoured on every path component.
 * Layers are immutable and only this process and its like may enter the store, so paths that were seen to be directories
 * stay directories; what is opened is opened without following symlinks.
 */
export class LayersTree implements HashedTree<MergedDir> {
  readonly root: MergedDir;
  readonly layers: readonly ByteString[];
  readonly #options: LayersOptions;

  /** @param layers directories, bottom first; none gives an empty tree */
  constructor(layers: readonly string[], options: LayersOptions) {
    this.layers = layers.map(toByteString);
    this.#options = options;
    const parts: { layer: number; path: ByteString }[] = [];
    for (let layer = this.layers.length - 1; layer >= 0; layer--) {
      const path = this.layers[layer] as ByteString;
      parts.push({ layer, path });
      if (isOpaque(path)) break;
    }
    const top = parts[0];
    const node = top ? this.#node(top.path, top.layer) : emptyRoot;
    if (!node) throw new TsbuildError('TSB_STORE', `Cannot read layer "${toText(top?.path ?? '')}": it does not exist`);
    this.root = { path: '', node, parts, children: new Map(), nodes: new Map(), names: undefined };
  }

  list(dir: MergedDir): readonly ByteString[] {
    return (dir.names ??= this.#list(dir));
  }

  lookup(dir: MergedDir, name: ByteString): LayerNode | undefined {
    if (dir.nodes.has(name)) return dir.nodes.get(name);
    let found: LayerNode | undefined;
    for (const part of dir.parts) {
      const node = this.#node(`${part.path}/${name}`, part.layer);
      if (!node) continue;
      if (!isWhiteout(node)) found = node;
      break;
    }
    dir.nodes.set(name, found);
    return found;
  }

  stat(dir: MergedDir): LayerNode {
    return dir.node;
  }

  enter(dir: MergedDir, name: ByteString): MergedDir {
    const known = dir.children.get(name);
    if (known) return known;
    const parts: { layer: number; path: ByteString }[] = [];
    let top: LayerNode | undefined;
    for (const part of dir.parts) {
      const path = `${part.path}/${name}`;
      const node = this.#node(path, part.layer);
      if (!node) continue;
      if (node.type !== 'directory') break;
      top ??= node;
      parts.push({ layer: part.layer, path });
      if (isOpaque(path)) break;
    }
    if (!top) throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a directory`);
    const child: MergedDir = {
      path: joinPath(dir.path, name),
      node: top,
      parts,
      children: new Map(),
      nodes: new Map(),
      names: undefined,
    };
    dir.children.set(name, child);
    return child;
  }

  leave(): void {
    // Handles hold no resources.
  }

  open(_dir: MergedDir, _name: ByteString, node: TreeNode): number {
    const { source } = node as LayerNode;
    try {
      return openSync(toFsPath(source), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      throw fromErrno(error, `Cannot read "${toText(source)}"`, 'TSB_STORE');
    }
  }

  close(fd: number): void {
    closeSync(fd);
  }

  xattrs(_dir: MergedDir, _name: ByteString, node: TreeNode): readonly Xattr[] {
    if (node.type !== 'file') return [];
    return readXattrs(toFsPath((node as LayerNode).source), this.#options.idShift);
  }

  openXattrs(fd: number): readonly Xattr[] {
    return readXattrs(fd, this.#options.idShift);
  }

  contentDigest(dir: MergedDir, name: ByteString, node: TreeNode): Digest {
    const { layer } = node as LayerNode;
    const home = this.layers[layer] ?? '';
    const path = joinPath(dir.path, name);
    const known = this.#options.digests?.get(home, path);
    if (known) return known;
    const digest = this.#identity(dir, name, node);
    this.#options.digests?.put(home, path, digest);
    return digest;
  }

  #identity(dir: MergedDir, name: ByteString, node: TreeNode): Digest {
    const fd = this.open(dir, name, node);
    try {
      return contentIdentity(hashFile(fd, node.size), this.openXattrs(fd));
    } finally {
      this.close(fd);
    }
  }

  #list(dir: MergedDir): ByteString[] {
    const [only] = dir.parts;
    const seen = new Set<ByteString>();
    const names: ByteString[] = [];
    for (const part of dir.parts) {
      const below = dir.parts.length > 1 || part !== only;
      for (const entry of readdirSync(toFsPath(part.path), { withFileTypes: true, encoding: 'latin1' })) {
        const { name } = entry;
        if (below) {
          if (seen.has(name)) continue;
          seen.add(name);
        }
        if (entry.isCharacterDevice()) {
          const node = this.#node(`${part.path}/${name}`, part.layer);
          if (!node || isWhiteout(node)) continue;
        }
        names.push(name);
      }
    }
    return names.sort(compareBytes);
  }

  #node(path: ByteString, layer: number): LayerNode | undefined {
    const fsPath = toFsPath(path);
    const stats = lstatSync(fsPath, { bigint: true, throwIfNoEntry: false });
    if (!stats) return undefined;
    const mode = Number(stats.mode);
    const type = nodeType(mode);
    const node = {
      type,
      mode: mode & 0o7777,
      uid: this.#imageId(Number(stats.uid)),
      gid: this.#imageId(Number(stats.gid)),
      size: type === 'file' ? Number(stats.size) : 0,
      mtimeNs: stats.mtimeNs,
      linkname: type === 'symlink' ? readlinkSync(fsPath, 'latin1') : '',
      source: path,
      layer,
    };
    if (type === 'file' && stats.nlink > 1n) return { ...node, hardlink: `${stats.dev}:${stats.ino}` };
    if (type === 'char' || type === 'block') return { ...node, device: deviceOf(Number(stats.rdev)) };
    return node;
  }

  /** The image's id of an id on disk; ids outside the image's range become 65534 (nobody). */
  #imageId(id: number): number {
    const { idShift } = this.#options;
    return id >= idShift ? id - idShift : 65_534;
  }
}

const emptyRoot: LayerNode = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  linkname: '',
  source: '',
  layer: -1,
};

function isWhiteout(node: TreeNode): boolean {
  return node.type === 'char' && node.device?.major === 0 && node.device.minor === 0;
}

/** Major and minor number of a `st_rdev`. */
function deviceOf(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

/** Whether an overlay directory hides what is below. */
function isOpaque(path: ByteString): boolean {
  return getXattr(toFsPath(path), 'user.overlay.opaque')?.toString() === 'y';
}
