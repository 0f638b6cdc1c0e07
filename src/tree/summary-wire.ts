import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Digest, hexOf, TsbuildError } from '../util/index.ts';
import { type ByteString, joinPath } from './bytes.ts';
import { ColumnReader, ColumnWriter } from './columns.ts';
import type { NodeType, ReadableTree, TreeNode } from './node.ts';
import { type SummaryDir, type SummaryLeaf, SummaryTree } from './summary-tree.ts';

/** Largest summary, in bytes as it is kept: one that is part of a record of a shared cache. Some 40,000 files of a Debian image have it. */
export const MAX_TREE_SUMMARY: number = 360 * 1024;
/** The same once it is decompressed. */
const MAX_TEXT = 32 << 20;
const MAX_ENTRIES = 250_000;
const MAX_NAME = 255;
const MAX_LINK = 4095;
/** Directories below each other, as many as an unpacked layer may have. */
const MAX_DEPTH = 1000;
const MAX_ID = 2 ** 32 - 1;

/** Order is part of the format. */
const TYPES: readonly NodeType[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block'];
/** What a node has besides its type; order is part of the format. */
const COLUMNS = ['head', 'names', 'types', 'modes', 'owners', 'times', 'sizes', 'links', 'extra'] as const;
const FORMAT = 1;
/** Nanoseconds, either way of 1970: what 70 bits hold. */
const MAX_TIME_NS = 2n ** 68n;

type Columns<T> = Readonly<Record<(typeof COLUMNS)[number], T>>;

function columns<T>(make: (name: (typeof COLUMNS)[number]) => T): Columns<T> {
  return Object.fromEntries(COLUMNS.map((name) => [name, make(name)])) as Columns<T>;
}

/** What a tree of any kind knows beyond `ReadableTree` where it is a summary itself. */
type Summarized<D> = Pick<ReadableTree<D>, 'root' | 'list' | 'lookup' | 'stat' | 'enter' | 'leave' | 'knownContent'>;

/**
 * The summary of a tree: of each path all that a tree tells of it, but for the content of files and their extended attributes. Columns, one for
 * each property, compress to some ten bytes a file. What tells times and owners again says which of those before it means.
 * @returns undefined when the tree is too large for one
 */
export function encodeSummary<D>(tree: Summarized<D>): Buffer | undefined {
  const out = columns(() => new ColumnWriter());
  const writer = new NodeWriter(out);
  writer.node(tree.stat(tree.root), undefined);
  const stack = [{ dir: tree.root, names: tree.list(tree.root), at: 0 }];
  out.head.number(FORMAT);
  out.names.number(stack[0]?.names.length ?? 0);
  let entries = 0;
  // A loop, since trees may be deep. A directory's entries follow it.
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const name = top.names[top.at++];
    if (name === undefined) {
      stack.pop();
      if (stack.length > 0) tree.leave(top.dir);
      continue;
    }
    const node = tree.lookup(top.dir, name);
    if (node === undefined || ++entries > MAX_ENTRIES || stack.length > MAX_DEPTH) return undefined;
    out.names.text(name);
    writer.node(node, tree.knownContent?.(top.dir, name));
    if (node.type !== 'directory') continue;
    const dir = tree.enter(top.dir, name);
    const names = tree.list(dir);
    out.names.number(names.length);
    stack.push({ dir, names, at: 0 });
  }
  const text = Buffer.concat(COLUMNS.flatMap((name) => out[name].framed()));
  if (text.length > MAX_TEXT) return undefined;
  const bytes = zstdCompressSync(text, {
    params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 9 },
  });
  return bytes.length > MAX_TREE_SUMMARY ? undefined : bytes;
}

/**
 * Reads a summary, which anybody may have written: one that is not what `encodeSummary` makes of some tree is refused as a whole. A name is
 * one name within the directory that it follows, so that nothing can lie outside, twice or beneath a file.
 * @throws TsbuildError `TSB_IMAGE`
 */
export function decodeSummary(bytes: Uint8Array): SummaryTree {
  try {
    if (bytes.length > MAX_TREE_SUMMARY) throw new RangeError('is too large');
    const text = zstdDecompressSync(bytes, { maxOutputLength: MAX_TEXT });
    let at = 0;
    const from = columns(() => {
      const column = ColumnReader.framed(text, at);
      at = column.end;
      return column;
    });
    if (from.head.number(1000) !== FORMAT) throw new RangeError('has another version: a newer tsbuild wrote it');
    const root = readTree(from);
    if (at !== text.length || COLUMNS.some((name) => !from[name].isAtEnd))
      throw new RangeError('has more than its tree');
    return new SummaryTree(root);
  } catch (error) {
    const why = error instanceof RangeError ? error.message : 'cannot be decompressed';
    throw new TsbuildError('TSB_IMAGE', `Cannot use the summary of a file tree: it ${why}`, { cause: error });
  }
}

/** A directory that is being read, and how many of its entries are to come. */
interface Reading {
  readonly dir: SummaryDir & { readonly entries: Map<ByteString, SummaryDir | SummaryLeaf> };
  left: number;
  last: ByteString;
}

function readTree(from: Columns<ColumnReader>): SummaryDir {
  const reader = new NodeReader(from);
  let entries = 0;
  const begin = (path: ByteString, node: TreeNode): Reading => {
    const left = from.names.number(MAX_ENTRIES);
    return { dir: { path, node, entries: new Map() }, left, last: '' };
  };
  const { node } = reader.node();
  if (node.type !== 'directory') throw new RangeError('has a root that is no directory');
  const stack = [begin('', node)];
  const { dir: root } = stack[0] as Reading;
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (top.left-- === 0) {
      stack.pop();
      continue;
    }
    if (++entries > MAX_ENTRIES) throw new RangeError(`has more than ${MAX_ENTRIES} entries`);
    if (stack.length > MAX_DEPTH) throw new RangeError(`has more than ${MAX_DEPTH} directories below each other`);
    const name = from.names.text(MAX_NAME);
    if (!isName(name)) throw new RangeError('has a name that no file can have');
    // In order, none can be there twice.
    if (name <= top.last) throw new RangeError('has names that are not in order');
    top.last = name;
    const leaf = reader.node();
    if (leaf.node.type !== 'directory') {
      top.dir.entries.set(name, leaf);
      continue;
    }
    const child = begin(joinPath(top.dir.path, name), leaf.node);
    top.dir.entries.set(name, child.dir);
    stack.push(child);
  }
  return root;
}

function isName(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** Writes what a node has; what was there before is told by its number. */
class NodeWriter {
  readonly #out: Columns<ColumnWriter>;
  readonly #owners = new Map<string, number>();
  readonly #times = new Map<bigint, number>();
  readonly #files = new Map<string, number>();

  constructor(out: Columns<ColumnWriter>) {
    this.#out = out;
  }

  node(node: TreeNode, content: Digest | undefined): void {
    const { types, modes, owners, times, sizes, links, extra } = this.#out;
    const { type, mode, uid, gid, size, mtimeNs, linkname, hardlink, device } = node;
    const hasMore = Number(hardlink !== undefined) + 2 * Number(content !== undefined);
    types.number(TYPES.indexOf(type) * 4 + hasMore);
    modes.number(mode);
    again(this.#owners, `${uid} ${gid}`, owners, () => {
      owners.number(uid);
      owners.number(gid);
    });
    again(this.#times, mtimeNs, times, () => times.signed(mtimeNs));
    if (type === 'file') sizes.number(size);
    if (type === 'symlink') links.text(linkname);
    if (device) {
      extra.number(device.major);
      extra.number(device.minor);
    }
    if (hardlink !== undefined) again(this.#files, hardlink, extra, () => undefined);
    if (content !== undefined) extra.bytes(Buffer.from(hexOf(content), 'hex'));
  }
}

/** Writes 0 and then a value that is new, the number of one that was there before. */
function again<K>(known: Map<K, number>, key: K, out: ColumnWriter, write: () => void): void {
  const number = known.get(key);
  out.number(number ?? 0);
  if (number !== undefined) return;
  known.set(key, known.size + 1);
  write();
}

class NodeReader {
  readonly #from: Columns<ColumnReader>;
  readonly #owners: { readonly uid: number; readonly gid: number }[] = [];
  readonly #times: bigint[] = [];
  #files = 0;

  constructor(from: Columns<ColumnReader>) {
    this.#from = from;
  }

  node(): SummaryLeaf {
    const { types, modes, owners, times, sizes, links, extra } = this.#from;
    const head = types.number(TYPES.length * 4 - 1);
    const type = TYPES[head >> 2] as NodeType;
    const isFile = type === 'file';
    if (!isFile && (head & 3) !== 0) throw new RangeError('has content, or several names, of what is no file');
    const mode = modes.number(0o7777);
    const owner = this.#again(this.#owners, owners, () => ({ uid: owners.number(MAX_ID), gid: owners.number(MAX_ID) }));
    const mtimeNs = this.#again(this.#times, times, () => times.signed(MAX_TIME_NS));
    const size = isFile ? sizes.number(Number.MAX_SAFE_INTEGER) : 0;
    const linkname = type === 'symlink' ? links.text(MAX_LINK) : '';
    if (linkname.includes('\0')) throw new RangeError('has a link to what no path can name');
    const node = { type, mode, ...owner, size, mtimeNs, linkname };
    if (type === 'char' || type === 'block')
      return { node: { ...node, device: { major: extra.number(MAX_ID), minor: extra.number(MAX_ID) } } };
    if ((head & 3) === 0) return { node };
    const whole = (head & 1) === 0 ? node : { ...node, hardlink: `summary:${this.#file(extra)}` };
    const hex = (head & 2) === 0 ? undefined : Buffer.from(extra.bytes(32)).toString('hex');
    return { node: whole, ...(hex === undefined ? {} : { content: `sha256:${hex}` }) };
  }

  #again<T>(known: T[], from: ColumnReader, read: () => T): T {
    const number = from.number(known.length);
    if (number > 0) return known[number - 1] as T;
    const value = read();
    known.push(value);
    return value;
  }

  #file(from: ColumnReader): number {
    const number = from.number(this.#files);
    return number > 0 ? number : ++this.#files;
  }
}
