import {
  type ByteString,
  isSummaryDir,
  joinPath,
  type SummaryDir,
  type SummaryLeaf,
  SummaryTree,
  type TreeNode,
} from '../tree/index.ts';
import type { Compression } from '../image/index.ts';
import { type Digest, Hasher } from '../util/index.ts';
import { verifyContent } from './verify-content.ts';
import { memberPath } from './byte-string.ts';
import type { TarEntry } from './entry.ts';
import { readContent } from './read-content.ts';
import { type TarHandler, TarReader } from './tar-reader.ts';
import { WHITEOUT, WHITEOUT_META } from './whiteout.ts';

/** A layer's blob. */
export interface LayerToSummarize {
  readonly path: string;
  readonly compression: Compression;
  readonly diffId: Digest;
}

const OPAQUE_MARKER = '.wh..wh..opq';

/** The archive is none that can be followed without files. */
class Unusual extends Error {
  override readonly name = 'Unusual';
}

/**
 * The summary of a tree with one more layer on top, by the layer's blob: what `applyLayer` and a merged view of both would show. It knows the
 * contents of that layer's files by their digests.
 * @returns undefined for a layer that does something out of the ordinary, such as naming a path twice, for which files are needed
 * @throws TsbuildError `TSB_ARCHIVE`, `TSB_DIGEST` as for unpacking it
 */
export async function summarizeLayer(
  below: SummaryTree,
  { path, compression, diffId }: LayerToSummarize,
  signal: AbortSignal,
): Promise<SummaryTree | undefined> {
  const target = new Target(below.root, diffId);
  const reader = new TarReader(target);
  try {
    const read = await readContent({ source: path, compression, signal }, (piece) => reader.push(piece));
    reader.finish();
    verifyContent(read, { diffId });
  } catch (error) {
    if (error instanceof Unusual) return undefined;
    throw error;
  }
  return new SummaryTree(target.root);
}

/** A directory that was copied from what is below, and changes. */
interface Draft extends SummaryDir {
  node: TreeNode;
  readonly entries: Map<ByteString, SummaryDir | SummaryLeaf>;
}

class Target implements TarHandler {
  readonly root: Draft;
  readonly #drafts = new Set<SummaryDir>();
  /** What the layer has an entry for, and the directories above. */
  readonly #own = new Set<ByteString>();
  #file:
    | { readonly entry: TarEntry; readonly dir: Draft; readonly name: ByteString; readonly hasher: Hasher }
    | undefined;
  readonly #layer: string;
  #links = 0;

  /** @param layer names files that have several names apart from those of other layers */
  constructor(root: SummaryDir, layer: string) {
    this.#layer = layer;
    this.root = this.#draft(root);
  }

  entry(entry: TarEntry): void {
    const path = memberPath(entry.path);
    if (path === '') {
      if (entry.type !== 'directory') throw new Unusual();
      this.root.node = nodeOf(entry);
      return;
    }
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const above = path.slice(0, Math.max(slash, 0));
    if (name.startsWith(WHITEOUT)) return this.#whiteout(above, name);
    // Devices are not made, and aufs's own files are nobody's.
    if (path.startsWith(WHITEOUT_META) || entry.type === 'char' || entry.type === 'block') return;
    if (this.#own.has(path)) throw new Unusual();
    const dir = this.#enter(above);
    this.#own.add(path);
    if (entry.type === 'file') this.#file = { entry, dir, name, hasher: new Hasher() };
    else if (entry.type === 'hardlink') dir.entries.set(name, this.#linked(entry));
    else if (entry.type === 'directory') this.#directory(dir, name, path, nodeOf(entry));
    else dir.entries.set(name, { node: nodeOf(entry) });
  }

  data(chunk: Buffer): void {
    this.#file?.hasher.update(chunk);
  }

  end(): void {
    if (!this.#file) return;
    const { entry, dir, name, hasher } = this.#file;
    this.#file = undefined;
    const isPlain = entry.sparse === undefined && (entry.xattrs?.size ?? 0) === 0;
    dir.entries.set(name, { node: nodeOf(entry), ...(isPlain ? { content: hasher.digest() } : {}) });
  }

  #draft(dir: SummaryDir): Draft {
    const draft: Draft = { path: dir.path, node: dir.node, entries: new Map(dir.entries) };
    this.#drafts.add(draft);
    return draft;
  }

  #isDraft(entry: SummaryDir | SummaryLeaf): entry is Draft {
    return isSummaryDir(entry) && this.#drafts.has(entry);
  }

  /** A directory of the merged view, by a path without links: others lead to places that only unpacking finds. */
  #enter(path: ByteString): Draft {
    let dir = this.root;
    if (path === '') return dir;
    for (const name of path.split('/')) {
      const found = dir.entries.get(name);
      if (found === undefined || !isSummaryDir(found)) throw new Unusual();
      const child = this.#isDraft(found) ? found : this.#draft(found);
      dir.entries.set(name, child);
      this.#own.add(child.path);
      dir = child;
    }
    return dir;
  }

  /** Of one that is below, too, both show. */
  #directory(dir: Draft, name: ByteString, path: ByteString, node: TreeNode): void {
    const below = dir.entries.get(name);
    const draft = this.#draft(below !== undefined && isSummaryDir(below) ? below : { path, node, entries: new Map() });
    draft.node = node;
    dir.entries.set(name, draft);
  }

  #whiteout(above: ByteString, name: ByteString): void {
    const hidden = name === OPAQUE_MARKER ? '' : name.slice(WHITEOUT.length);
    if (name.startsWith(WHITEOUT_META) && name !== OPAQUE_MARKER) return;
    if (name !== OPAQUE_MARKER && (hidden === '' || hidden === '.' || hidden === '..')) throw new Unusual();
    const dir = this.#enter(above);
    // It is about what is below, and not about what this layer has there.
    const isOwn = (one: ByteString): boolean => this.#own.has(joinPath(above, one));
    if (hidden !== '' && isOwn(hidden)) throw new Unusual();
    if (hidden !== '') dir.entries.delete(hidden);
    else if ([...dir.entries.keys()].some(isOwn)) throw new Unusual();
    else dir.entries.clear();
  }

  /** The file that it is another name of: one of this layer, or copying it up would make another file of it. */
  #linked(entry: TarEntry): SummaryLeaf {
    const path = memberPath(entry.linkPath);
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const dir = this.#own.has(path) ? this.#enter(path.slice(0, Math.max(slash, 0))) : undefined;
    const found = dir?.entries.get(name);
    if (!dir || found === undefined || isSummaryDir(found)) throw new Unusual();
    if (found.node.type !== 'file' || found.node.hardlink !== undefined) return found;
    const leaf = { ...found, node: { ...found.node, hardlink: `${this.#layer} ${++this.#links}` } };
    dir.entries.set(name, leaf);
    return leaf;
  }
}

function nodeOf({ type, mode, uid, gid, size, mtime, linkPath }: TarEntry): TreeNode {
  return {
    type: type as TreeNode['type'],
    mode: type === 'symlink' ? 0o777 : mode,
    uid,
    gid,
    size: type === 'file' ? size : 0,
    mtimeNs: BigInt(mtime.sec) * 1_000_000_000n + BigInt(mtime.nsec),
    linkname: type === 'symlink' ? linkPath : '',
  };
}
