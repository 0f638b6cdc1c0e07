import { type ContextNode, toNode } from './context-node.ts';
import { ContextTree, type ContextDir, newDir } from './context-tree.ts';
import type { ByteString } from './bytes.ts';
import { hexOf, TsbuildError } from '../util/index.ts';

/**
 * Directories of a build context with the stat of every entry, in columns, small and fast to send to the worker.
 * Names contain no slash, so slashes separate them.
 */
export interface EncodedContext {
  /** Absolute path of the context on the host, as a byte string. */
  readonly root: ByteString;
  readonly xattrs: boolean;
  /** Directory paths from the root (`''`), parents first. */
  readonly dirs: readonly ByteString[];
  /** Number of entries of each directory. */
  readonly counts: Uint32Array;
  readonly names: string;
  /** The stats, `COLUMNS` numbers for each; the first row is the root's. */
  readonly numbers: Float64Array;
  /** Permission bits of each row where some are not those of the stat. */
  readonly modes?: Uint16Array;
  /** Times of each row where some are not those of the stat, in seconds since the epoch; NaN for that of the stat. */
  readonly times?: Float64Array;
  /** Targets of the symlinks, in order, separated by NUL. */
  readonly links: string;
}

const NO_STAT = {
  mode: 0,
  nlink: 0,
  uid: 0,
  size: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  ctimeSec: 0,
  ctimeNsec: 0,
  inoHigh: 0,
  inoLow: 0,
  devMajor: 0,
  devMinor: 0,
};
const COLUMNS = Object.keys(NO_STAT) as readonly (keyof typeof NO_STAT)[];

/** Encodes the given directories (from `ContextTree.record`). */
export function encodeContext(tree: ContextTree, touched: ReadonlySet<ContextDir>): EncodedContext {
  const dirs = inOrder(touched);
  const rows: ContextNode[] = [tree.root.node];
  const names: ByteString[] = [];
  const links: ByteString[] = [];
  for (const dir of dirs) {
    for (const [name, node] of dir.nodes ?? []) {
      rows.push(node);
      names.push(name);
      if (node.type === 'symlink') links.push(node.linkname);
    }
  }
  const numbers = new Float64Array(rows.length * COLUMNS.length);
  rows.forEach(({ stat }, row) => {
    COLUMNS.forEach((column, at) => {
      numbers[row * COLUMNS.length + at] = stat[column];
    });
  });
  const differ = rows.some(({ mode, stat }) => mode !== (stat.mode & 0o7777));
  return {
    root: tree.rootPath,
    xattrs: tree.hasXattrs,
    dirs: dirs.map((dir) => dir.path),
    counts: Uint32Array.from(dirs, (dir) => dir.nodes?.size ?? 0),
    names: names.join('/'),
    numbers,
    links: links.join('\0'),
    ...(rows.some(({ mtime }) => mtime !== undefined)
      ? { times: Float64Array.from(rows, ({ mtime }) => mtime ?? Number.NaN) }
      : {}),
    ...(differ ? { modes: Uint16Array.from(rows, ({ mode }) => mode) } : {}),
  };
}

/**
 * The context as it was encoded. Reads only contents from the host, each checked against its encoded stat.
 * @throws TsbuildError `TSB_INTERNAL` from its methods when a directory is needed that was not encoded
 */
export function decodeContext(encoded: EncodedContext): ContextTree {
  const names = encoded.names === '' ? [] : encoded.names.split('/');
  const links = encoded.links.split('\0');
  let row = 0;
  let link = 0;
  const next = (): ContextNode => {
    const stat = { ...NO_STAT };
    COLUMNS.forEach((column, at) => {
      stat[column] = encoded.numbers[row * COLUMNS.length + at] ?? 0;
    });
    const mode = encoded.modes?.[row];
    const time = encoded.times?.[row] ?? Number.NaN;
    row++;
    const isLink = (stat.mode & 0o170000) === 0o120000;
    return toNode(stat, isLink ? (links[link++] ?? '') : '', { mode, mtime: Number.isNaN(time) ? undefined : time });
  };
  const root = newDir('', next());
  const byPath = new Map<ByteString, ContextDir>([['', root]]);
  encoded.dirs.forEach((path, index) => {
    const dir = byPath.get(path);
    if (!dir) throw new TsbuildError('TSB_INTERNAL', `Cannot decode the build context: "${path}" has no parent`);
    const nodes = new Map<ByteString, ContextNode>();
    for (let left = encoded.counts[index] ?? 0; left > 0; left--) {
      const name = names[row - 1] ?? '';
      const node = next();
      nodes.set(name, node);
      if (node.type === 'directory') {
        const child = newDir(path === '' ? name : `${path}/${name}`, node);
        dir.children.set(name, child);
        byPath.set(child.path, child);
      }
    }
    dir.nodes = nodes;
    dir.names = [...nodes.keys()];
  });
  return ContextTree.frozen(encoded.root, root, encoded.xattrs);
}

const DIGEST_BYTES = 32;

/**
 * The digests that an decoded context learned, 32 bytes for each encoded entry in order; zeros where it learned none.
 * @param tree what `decodeContext` made of `encoded`
 */
export function encodeDigests(encoded: EncodedContext, tree: ContextTree): Uint8Array {
  const digests = Buffer.alloc((encoded.numbers.length / COLUMNS.length - 1) * DIGEST_BYTES);
  let row = 0;
  for (const path of encoded.dirs) {
    const dir = path === '' ? tree.root : path.split('/').reduce((parent, name) => tree.enter(parent, name), tree.root);
    for (const name of dir.names) {
      const digest = dir.nodes?.get(name)?.digest;
      if (digest !== undefined) digests.write(hexOf(digest), row * DIGEST_BYTES, 'hex');
      row++;
    }
  }
  return digests;
}

/** Gives a context the digests of its files that were learned where it was decoded. @param touched as for `encodeContext` */
export function takeDigests(tree: ContextTree, touched: ReadonlySet<ContextDir>, digests: Uint8Array): void {
  const bytes = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
  let at = 0;
  for (const dir of inOrder(touched)) {
    for (const [name, node] of dir.nodes ?? []) {
      const hex = bytes.toString('hex', at, at + DIGEST_BYTES);
      at += DIGEST_BYTES;
      if (hex !== NONE) tree.learn(dir, name, node, `sha256:${hex}`);
    }
  }
}

const NONE = '0'.repeat(DIGEST_BYTES * 2);

/** The order of what is encoded: directories by path, so that parents come first. */
function inOrder(touched: ReadonlySet<ContextDir>): readonly ContextDir[] {
  return [...touched].filter((dir) => dir.nodes).sort((a, b) => (a.path < b.path ? -1 : 1));
}
