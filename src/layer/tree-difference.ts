import {
  type ByteString,
  fileOfTree,
  isUnchanged,
  type LayersDir,
  LayersTree,
  toTimespec,
  type TreeNode,
  type Xattr,
} from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { EntryType } from './entry.ts';
import type { LayerEntry } from './layer-entry.ts';
import { layerPath, whiteoutPath } from './whiteout.ts';

/** Two trees of layer directories, bottom first; neither need have anything to do with the other. */
export interface ComparedTrees {
  readonly lower: readonly string[];
  readonly upper: readonly string[];
  readonly idShift: number;
}

/**
 * What has to be laid on `lower` to see `upper`, as the entries of a layer, parents first: what is not in `lower` or other than there, the
 * directories that lead to it, and a whiteout for each name that `upper` does not have. A directory's time alone is no difference, as in
 * BuildKit. Of a file with several names all are given where one is, so that they are one file again. What both trees have of the same
 * layers is passed over without being read, and files are open only while their entry is the current one.
 * @throws TsbuildError `TSB_EXPORT` for a name that a layer cannot hold, and a tree that is deeper than layers are
 */
export function* treeDifference({
  lower,
  upper,
  idShift,
}: ComparedTrees): Generator<LayerEntry | undefined, void, void> {
  using below = new LayersTree(lower, { idShift });
  using above = new LayersTree(upper, { idShift });
  yield* new Comparison(below, above).entries();
}

/** As deep as a layer may be that is unpacked. */
const MAX_DEPTH = 1000;

/** A file with several names in the upper tree, as far as they were seen. */
interface Linked {
  /** Which files they are in the lower tree: one, where nothing has changed. */
  readonly below: Set<string | undefined>;
  /** How many names were seen. */
  names: number;
  /** One of them is new or changed. */
  changed: boolean;
  /** The first that became an entry. */
  path: ByteString | undefined;
}

class Comparison {
  readonly #lower: LayersTree;
  readonly #upper: LayersTree;
  readonly #linked = new Map<string, Linked>();
  /** Directories that both trees have of the same layers are looked into, for further names of files that change. */
  #isThorough = false;
  /** Directories on the way to the current place that are as below, outermost first: entries only when something in them is one. */
  #pending: LayerEntry[] = [];

  constructor(lower: LayersTree, upper: LayersTree) {
    this.#lower = lower;
    this.#upper = upper;
  }

  *entries(): Generator<LayerEntry | undefined, void, void> {
    this.#findLinks(this.#lower.root, this.#upper.root);
    if ([...this.#linked.values()].some(hasChanged)) {
      this.#linked.clear();
      this.#isThorough = true;
      this.#findLinks(this.#lower.root, this.#upper.root);
    }
    yield entryOf('', this.#upper.root.node);
    yield* this.#compare(this.#lower.root, this.#upper.root);
  }

  /** Notes the files with several names. Whether any of them is more than looked at shows in the end only. */
  #findLinks(lower: LayersDir | undefined, upper: LayersDir, depth = 0): void {
    if (this.#isSame(lower, upper)) return;
    if (depth > MAX_DEPTH)
      throw new TsbuildError('TSB_EXPORT', `Cannot compare trees: one is more than ${MAX_DEPTH} directories deep`);
    for (const name of this.#upper.list(upper)) {
      const node = this.#upper.lookup(upper, name);
      if (node?.type === 'directory')
        this.#findLinks(this.#below(lower, name), this.#upper.enter(upper, name), depth + 1);
      if (node?.hardlink === undefined) continue;
      let linked = this.#linked.get(node.hardlink);
      if (!linked)
        this.#linked.set(node.hardlink, (linked = { below: new Set(), names: 0, changed: false, path: undefined }));
      const other = lower && this.#lower.lookup(lower, name);
      linked.below.add(other?.hardlink);
      linked.names++;
      linked.changed ||= other === undefined || !this.#isUnchanged(lower, upper, name, node, other);
    }
  }

  *#compare(lower: LayersDir | undefined, upper: LayersDir): Generator<LayerEntry | undefined, void, void> {
    if (this.#isSame(lower, upper)) return;
    const names = this.#upper.list(upper).filter((name) => this.#upper.lookup(upper, name)?.type !== 'socket');
    const kept = new Set(names);
    for (const name of lower ? this.#lower.list(lower) : []) {
      if (!kept.has(name)) yield* this.#emit({ path: whiteoutPath(upper.path, name), type: 'file' });
    }
    for (const name of names) {
      const node = this.#upper.lookup(upper, name);
      if (node === undefined) continue;
      yield* node.type === 'directory'
        ? this.#directory(lower, upper, name, node)
        : this.#file(lower, upper, name, node);
    }
    // So that others get their turn where nothing has changed.
    yield undefined;
  }

  *#directory(
    lower: LayersDir | undefined,
    upper: LayersDir,
    name: ByteString,
    node: TreeNode,
  ): Generator<LayerEntry | undefined, void, void> {
    const path = layerPath(upper.path, name);
    const other = lower && this.#lower.lookup(lower, name);
    const entry = entryOf(path, node);
    const before = this.#pending;
    if (other?.type === 'directory' && other.mode === node.mode && other.uid === node.uid && other.gid === node.gid)
      this.#pending = [...before, entry];
    else yield* this.#emit(entry);
    yield* this.#compare(this.#below(lower, name), this.#upper.enter(upper, name));
    // Still there only when nothing in it was an entry; then those around it are waiting, too.
    if (this.#pending.includes(entry)) this.#pending = before;
  }

  *#file(
    lower: LayersDir | undefined,
    upper: LayersDir,
    name: ByteString,
    node: TreeNode,
  ): Generator<LayerEntry, void, void> {
    const path = layerPath(upper.path, name);
    const linked = node.hardlink === undefined ? undefined : this.#linked.get(node.hardlink);
    if (linked) {
      if (!hasChanged(linked)) return;
      if (linked.path !== undefined)
        return yield* this.#emit({ ...entryOf(path, node), type: 'hardlink', size: 0, linkPath: linked.path });
      linked.path = path;
    } else {
      const other = lower && this.#lower.lookup(lower, name);
      if (lower && other && this.#isUnchanged(lower, upper, name, node, other)) return;
    }
    if (node.type !== 'file') return yield* this.#emit(entryOf(path, node));
    const fd = this.#upper.open(upper, name);
    try {
      yield* this.#emit({ ...entryOf(path, node), content: { fd }, xattrs: xattrsOf(this.#upper.openXattrs(fd)) });
    } finally {
      this.#upper.close(fd);
    }
  }

  /** An entry, after the directories that lead to it. */
  *#emit(entry: LayerEntry): Generator<LayerEntry, void, void> {
    const pending = this.#pending;
    this.#pending = [];
    yield* pending;
    yield entry;
  }

  #below(lower: LayersDir | undefined, name: ByteString): LayersDir | undefined {
    return lower && this.#lower.lookup(lower, name)?.type === 'directory' ? this.#lower.enter(lower, name) : undefined;
  }

  #isSame(lower: LayersDir | undefined, upper: LayersDir): boolean {
    return !this.#isThorough && lower !== undefined && this.#lower.identity(lower) === this.#upper.identity(upper);
  }

  #isUnchanged(
    lower: LayersDir | undefined,
    upper: LayersDir,
    name: ByteString,
    node: TreeNode,
    other: TreeNode,
  ): boolean {
    if (lower === undefined) return false;
    if (this.#lower.inode(lower, name) === this.#upper.inode(upper, name)) return true;
    return isUnchanged(fileOfTree(this.#upper, upper, name, node), fileOfTree(this.#lower, lower, name, other));
  }
}

/** Whether a file with several names is another one than below: itself, or one of its names. */
function hasChanged({ below, names, changed }: Linked): boolean {
  return changed || below.size > 1 || (names > 1 && below.has(undefined));
}

function entryOf(path: ByteString, { type, mode, uid, gid, size, mtimeNs, linkname, device }: TreeNode): LayerEntry {
  return {
    path,
    type: type as EntryType,
    mode,
    uid,
    gid,
    size,
    mtime: toTimespec(mtimeNs),
    linkPath: linkname,
    ...(device && { devMajor: device.major, devMinor: device.minor }),
  };
}

function xattrsOf(xattrs: readonly Xattr[]): ReadonlyMap<ByteString, Buffer> | undefined {
  return xattrs.length === 0 ? undefined : new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)]));
}
