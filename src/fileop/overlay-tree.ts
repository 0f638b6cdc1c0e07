import {
  type ByteString,
  compareBytes,
  joinPath,
  toText,
  type FileContent,
  type ComparedFile,
  fileOfTree,
  type NodeAttributes,
  type NodeType,
  type ReadableTree,
  type TreeNode,
  type WritableTree,
  type Xattr,
  resolvePath,
} from '../tree/index.ts';
import { type Digest, sha256, TsbuildError } from '../util/index.ts';
import {
  attributesOf,
  type FullAttributes,
  isComplete,
  type Leaf,
  leafNode,
  leafXattrs,
  merge,
  mergeXattrs,
  none,
  TAKEN,
} from './overlay-leaf.ts';

/** What changes are made on top of: layers, their summary, or other changes. Its handles of directories are objects. */
export type BaseTree = ReadableTree<object>;

/** A name that was made. */
interface Made {
  readonly dir: OverlayDir;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly node: Leaf | OverlayDir;
}

/** A directory as it is after the changes so far. */
export interface OverlayDir {
  /** From the root (`''`). */
  readonly path: ByteString;
  readonly parent: OverlayDir | undefined;
  /** The directory of the base that shows through. */
  readonly base: object | undefined;
  /** The base has a directory here that this one hides. */
  readonly opaque: boolean;
  /** Undefined: the base's. */
  attributes: FullAttributes | undefined;
  /** Something in it or about it changed. */
  touched: boolean;
  /** Undefined is a removed name of the base. */
  readonly changes: Map<ByteString, Leaf | OverlayDir | undefined>;
  /** Unchanged directories that were entered. */
  readonly passed: Map<ByteString, OverlayDir>;
}

/** One entry of the layer that holds the changes. */
export interface OverlayEntry {
  /** From the root, without a leading slash; `''` is the root. The names of whiteouts begin with `.wh.`. */
  readonly path: ByteString;
  readonly type: NodeType | 'hardlink' | 'whiteout';
  /** Without the extended attributes that come with `content`. */
  readonly attributes: FullAttributes;
  readonly size: number;
  /** Target of a symlink, or path of the file that a hard link is a name of. */
  readonly linkname: ByteString;
  readonly content: FileContent | Uint8Array | undefined;
  /** What the layers below have at the path, if it is of the same type. */
  readonly replaced: ComparedFile | undefined;
}

/**
 * Changes on top of a layer stack, kept in memory: what `FsTree` on an overlay mount would do to the upper directory,
 * without files being written. Contents stay where they are until a layer is made of the entries.
 */
export class OverlayTree implements WritableTree<OverlayDir> {
  readonly root: OverlayDir;
  readonly #base: BaseTree;
  readonly #now: bigint;
  readonly #opened = new Map<number, { readonly close: () => void; readonly xattrs?: () => readonly Xattr[] }>();
  #links = 0;
  /** What was made and not taken, when that is to be taken while the tree grows. */
  #made: Made[] | undefined;
  #hasTaken = false;

  /** @param now time of what is made without one, nanoseconds since the epoch */
  constructor(base: BaseTree, now: bigint) {
    this.#base = base;
    this.#now = now;
    this.root = newDir('', undefined, base.root, false);
  }

  list(dir: OverlayDir): readonly ByteString[] {
    const names = new Set(dir.base ? this.#base.list(dir.base) : []);
    for (const [name, change] of dir.changes) {
      if (change) names.add(name);
      else names.delete(name);
    }
    return [...names].sort(compareBytes);
  }

  lookup(dir: OverlayDir, name: ByteString): TreeNode | undefined {
    if (dir.changes.has(name)) {
      const change = dir.changes.get(name);
      return change && (isDir(change) ? this.stat(change) : leafNode(change));
    }
    const passed = dir.passed.get(name);
    if (passed) return this.stat(passed);
    return dir.base && this.#base.lookup(dir.base, name);
  }

  stat(dir: OverlayDir): TreeNode {
    const { attributes, base } = dir;
    if (!attributes) return this.#base.stat(base ?? this.#base.root);
    return { type: 'directory', ...attributes, size: 0, linkname: '' };
  }

  enter(dir: OverlayDir, name: ByteString): OverlayDir {
    const change = dir.changes.get(name);
    if (change && isDir(change)) return change;
    let passed = dir.passed.get(name);
    if (!passed) {
      if (!dir.base) throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a directory`);
      passed = newDir(joinPath(dir.path, name), dir, this.#base.enter(dir.base, name), false);
      dir.passed.set(name, passed);
    }
    return passed;
  }

  leave(): void {
    // Handles hold no resources.
  }

  open(dir: OverlayDir, name: ByteString): number {
    const change = dir.changes.get(name);
    const inBase = change === undefined && dir.base ? this.#base.lookup(dir.base, name) : undefined;
    if (inBase && dir.base) {
      const { base } = dir;
      const fd = this.#base.open(base, name, inBase);
      this.#opened.set(fd, { close: () => this.#base.close(fd, base, name, inBase) });
      return fd;
    }
    if (change && !isDir(change) && change.content && !(change.content instanceof Uint8Array)) {
      const { content } = change;
      const fd = content.open();
      const xattrs = (): readonly Xattr[] => mergeXattrs(content.xattrs(fd), change.attributes.xattrs);
      this.#opened.set(fd, { close: () => content.close(fd), xattrs });
      return fd;
    }
    throw new TsbuildError('TSB_INTERNAL', `Cannot read "/${toText(joinPath(dir.path, name))}": it is not written yet`);
  }

  close(fd: number): void {
    const opened = this.#opened.get(fd);
    this.#opened.delete(fd);
    opened?.close();
  }

  xattrs(dir: OverlayDir, name: ByteString, node: TreeNode): readonly Xattr[] {
    const change = name === '' ? dir : (dir.changes.get(name) ?? dir.passed.get(name));
    if (change && !isDir(change)) return leafXattrs(change);
    if (change?.attributes) return change.attributes.xattrs;
    return dir.base ? this.#base.xattrs(dir.base, name, node) : [];
  }

  openXattrs(fd: number): readonly Xattr[] {
    const { xattrs = () => this.#base.openXattrs(fd) } = this.#opened.get(fd) ?? {};
    return xattrs();
  }

  knownContent(dir: OverlayDir, name: ByteString): Digest | undefined {
    if (!dir.changes.has(name)) return dir.base && this.#base.knownContent?.(dir.base, name);
    const change = dir.changes.get(name);
    const bytes = change && !isDir(change) && change.attributes.xattrs.length === 0 ? change.content : undefined;
    return bytes instanceof Uint8Array ? sha256(bytes) : undefined;
  }

  mkdir(dir: OverlayDir, name: ByteString, attributes: NodeAttributes): void {
    const below = dir.base && this.#base.lookup(dir.base, name);
    const child = newDir(joinPath(dir.path, name), dir, undefined, below?.type === 'directory');
    child.attributes = this.#complete(attributes);
    child.touched = true;
    this.#change(dir, name, child);
  }

  createFile(dir: OverlayDir, name: ByteString, attributes: NodeAttributes, content: FileContent | Uint8Array): void {
    this.#change(dir, name, this.#leaf('file', attributes, content));
  }

  truncateFile(dir: OverlayDir, name: ByteString, content: Uint8Array): void {
    const leaf = this.#copyUp(dir, name);
    leaf.attributes = { ...leaf.attributes, mtimeNs: this.#now, xattrs: leafXattrs(leaf) };
    leaf.content = content;
  }

  symlink(dir: OverlayDir, name: ByteString, target: ByteString, attributes: NodeAttributes): void {
    this.#change(dir, name, this.#leaf('symlink', { ...attributes, mode: 0o777 }, undefined, target));
  }

  mkfifo(dir: OverlayDir, name: ByteString, attributes: NodeAttributes): void {
    this.#change(dir, name, this.#leaf('fifo', { ...attributes, xattrs: [] }, undefined));
  }

  link(target: ByteString, dir: OverlayDir, name: ByteString): void {
    const located = resolvePath(this, target, { followLast: false });
    const leaf = this.#copyUp(located.parent, located.name);
    leaf.id ??= `link:${++this.#links}`;
    this.#change(dir, name, leaf);
  }

  setAttributes(dir: OverlayDir, name: ByteString, attributes: Partial<NodeAttributes>): void {
    const node = name === '' ? this.stat(dir) : this.lookup(dir, name);
    if (node?.type === 'directory') {
      const target = name === '' ? dir : this.enter(dir, name);
      const kept: FullAttributes = target.attributes ?? {
        ...attributesOf(node),
        xattrs: target.base ? this.#base.xattrs(target.base, '', node) : [],
      };
      target.attributes = merge(kept, attributes);
      touch(target);
      return;
    }
    const leaf = this.#copyUp(dir, name);
    leaf.attributes = merge(leaf.attributes, attributes);
  }

  remove(dir: OverlayDir, name: ByteString): void {
    const inBase = dir.base && this.#base.lookup(dir.base, name);
    dir.passed.delete(name);
    this.#change(dir, name, undefined);
    if (!inBase) dir.changes.delete(name);
  }

  /** The changes as layer entries, by path bytes. Of the names of one file, the first is the file and others are links. */
  entries(): OverlayEntry[] {
    const entries: OverlayEntry[] = [];
    const names = new Map<OverlayEntry, Leaf>();
    this.#collect(this.root, entries, names);
    entries.sort((a, b) => compareBytes(a.path, b.path));
    if (names.size === 0) return entries;
    return entries.map((one) => {
      const leaf = names.get(one);
      return leaf === undefined ? one : named(one, leaf);
    });
  }

  /** From now on what is made can be taken with `takeBefore`. For trees on no layers. */
  collectMade(): void {
    this.#made = [];
  }

  /**
   * Takes the entries that were made and have paths before `end` in byte order, all of them when it is absent. Taken in order they
   * are `entries()`, with the root last, if nothing before `end` is made or changed later. Where something is removed, all come at the end.
   */
  takeBefore(end?: ByteString): OverlayEntry[] {
    if (!this.#made) return end === undefined ? this.entries() : [];
    const taken: Made[] = [];
    this.#made = this.#made.filter((one) => {
      const isLater = end !== undefined && one.path >= end;
      if (!isLater) taken.push(one);
      return isLater;
    });
    this.#hasTaken ||= taken.length > 0;
    taken.sort((a, b) => compareBytes(a.path, b.path));
    const entries = taken.map(({ dir, name, path, node }) => {
      if (isDir(node)) return entry(path, 'directory', node.attributes ?? this.#baseAttributes(node));
      if (isComplete(node)) dir.changes.set(name, TAKEN);
      return named(this.#leafEntry(path, node, undefined), node);
    });
    // The root is complete when everything else is.
    if (end === undefined)
      entries.push(entry('', 'directory', this.root.attributes ?? this.#baseAttributes(this.root)));
    return entries;
  }

  /** @param names gets the entries of files that have several names */
  #collect(dir: OverlayDir, entries: OverlayEntry[], names: Map<OverlayEntry, Leaf>): void {
    if (!dir.touched) return;
    const { base } = dir;
    const replaced = base && fileOfTree(this.#base, base, '', this.#base.stat(base));
    entries.push(entry(dir.path, 'directory', dir.attributes ?? this.#baseAttributes(dir), { replaced }));
    if (dir.opaque) entries.push(entry(joinPath(dir.path, '.wh..wh..opq'), 'whiteout', none));
    for (const child of dir.passed.values()) this.#collect(child, entries, names);
    for (const [name, change] of dir.changes) {
      const path = joinPath(dir.path, name);
      if (!change) entries.push(entry(joinPath(dir.path, `.wh.${name}`), 'whiteout', none));
      else if (isDir(change)) this.#collect(change, entries, names);
      else {
        const one = this.#leafEntry(path, change, base && this.#below(base, name));
        if (change.id !== undefined) names.set(one, change);
        entries.push(one);
      }
    }
  }

  #below(base: object, name: ByteString): ComparedFile | undefined {
    const node = this.#base.lookup(base, name);
    return node && fileOfTree(this.#base, base, name, node);
  }

  #leafEntry(path: ByteString, leaf: Leaf, below: ComparedFile | undefined): OverlayEntry {
    const { attributes, content, linkname, type } = leaf;
    const replaced = below?.node.type === type ? below : undefined;
    const size = content instanceof Uint8Array ? content.length : (content?.size ?? 0);
    return { path, type, attributes, size, linkname, content, replaced };
  }

  #baseAttributes(dir: OverlayDir): FullAttributes {
    const node = this.stat(dir);
    return { ...attributesOf(node), xattrs: dir.base ? this.#base.xattrs(dir.base, '', node) : [] };
  }

  /** The changeable form of a file that is there. */
  #copyUp(dir: OverlayDir, name: ByteString): Leaf {
    const change = dir.changes.get(name);
    if (change && !isDir(change)) return change;
    const base = this.#base;
    const node = dir.base && base.lookup(dir.base, name);
    if (!node || !dir.base || node.type === 'directory') {
      throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a file`);
    }
    const home = dir.base;
    const attributes = { ...attributesOf(node), xattrs: [] };
    const content =
      node.type === 'file'
        ? {
            size: node.size,
            open: () => base.open(home, name, node),
            close: (fd: number) => base.close(fd, home, name, node),
            xattrs: (fd: number) => base.openXattrs(fd),
          }
        : undefined;
    const { type, linkname } = node;
    const leaf: Leaf = { type, attributes, content, linkname, id: undefined, written: undefined };
    // Copying up changes nothing that the directory's time would show.
    dir.changes.set(name, leaf);
    touch(dir);
    return leaf;
  }

  #leaf(
    type: Leaf['type'],
    attributes: NodeAttributes,
    content: FileContent | Uint8Array | undefined,
    linkname: ByteString = '',
  ): Leaf {
    return { type, attributes: this.#complete(attributes), content, linkname, id: undefined, written: undefined };
  }

  #complete(attributes: NodeAttributes): FullAttributes {
    return { ...attributes, mtimeNs: attributes.mtimeNs ?? this.#now };
  }

  #change(dir: OverlayDir, name: ByteString, change: Leaf | OverlayDir | undefined): void {
    dir.changes.set(name, change);
    if (change) this.#made?.push({ dir, name, path: joinPath(dir.path, name), node: change });
    else if (this.#hasTaken) throw new TypeError(`"${toText(joinPath(dir.path, name))}" may have been taken`);
    else this.#made = undefined;
    if (dir.attributes?.mtimeNs !== this.#now) {
      dir.attributes = { ...(dir.attributes ?? this.#baseAttributes(dir)), mtimeNs: this.#now };
    }
    touch(dir);
  }
}

function entry(
  path: ByteString,
  type: OverlayEntry['type'],
  attributes: FullAttributes,
  rest: Partial<OverlayEntry> = {},
): OverlayEntry {
  return { path, type, attributes, size: 0, linkname: '', content: undefined, replaced: undefined, ...rest };
}

/** The entry of one name of a file: the first is the file, others are links to it. */
function named(one: OverlayEntry, leaf: Leaf): OverlayEntry {
  leaf.written ??= one.path;
  if (leaf.written === one.path) return one;
  return entry(one.path, 'hardlink', one.attributes, { linkname: leaf.written });
}

function newDir(
  path: ByteString,
  parent: OverlayDir | undefined,
  base: object | undefined,
  opaque: boolean,
): OverlayDir {
  return { path, parent, base, opaque, attributes: undefined, touched: false, changes: new Map(), passed: new Map() };
}

function isDir(change: Leaf | OverlayDir): change is OverlayDir {
  return 'changes' in change;
}

function touch(dir: OverlayDir): void {
  for (let one: OverlayDir | undefined = dir; one && !one.touched; one = one.parent) one.touched = true;
}
