import { sha256 } from '../util/index.ts';
import { type ByteString, joinPath } from './bytes.ts';
import type { NodeType, TreeNode } from './node.ts';

/** Directories of more names are known by their digest and by how many files are beneath them. */
const MAX_NAMES = 10_000;
/** Names that one list says in all. What comes after that is known as above. */
const MAX_TOTAL = 100_000;

/** The names of a directory, or of what was selected. */
export interface ListedDirectory {
  /** JSON: a list of names and what `parseListedNode` reads, by turns, in byte order of names. */
  readonly text: string;
  /** Ids of the directories in it whose names are told too. */
  readonly children: readonly string[];
}

/**
 * What was read of a tree: a Merkle tree of names, attributes and short digests. It tells later which file made a checksum another one,
 * without the files. Directories that are the same have the same id, so that what builds have in common is kept once.
 */
export interface TreeListing {
  /** Id of what was selected: names are paths from the tree's root there, `''` being the root itself. */
  readonly root: string;
  readonly directories: ReadonlyMap<string, ListedDirectory>;
}

/** A directory that is being walked. */
interface Open {
  readonly path: ByteString;
  readonly name: ByteString;
  /** Its own attributes; undefined where only what is in it counts. */
  node: TreeNode | undefined;
  readonly lines: string[];
  readonly children: string[];
  files: number;
}

const LETTERS: Readonly<Record<NodeType, string>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  char: 'c',
  block: 'b',
};

/** Takes down what a walk meets, in the order of `walkTree`. */
export class ListingBuilder {
  readonly #directories = new Map<string, ListedDirectory>();
  readonly #top: Open = newOpen('', '', undefined);
  /** From the match that is walked down to the directory that entries are of. */
  readonly #open: Open[] = [];
  /** First path of each file with several names, within one match. */
  #links = new Map<string, ByteString>();
  #match: ByteString = '';
  #total = 0;

  /** A selected path, from the tree's root; entries of it follow. */
  begin(match: ByteString, isDirectory: boolean): void {
    this.end();
    this.#match = match;
    this.#links = new Map();
    if (isDirectory) this.#open.push(newOpen('', match, undefined));
  }

  /** The selected path itself; not told where only what is in it counts. */
  self(node: TreeNode, digest: string): void {
    const [open] = this.#open;
    if (open) {
      open.node = node;
      return;
    }
    this.#top.lines.push(this.#match, this.#format('', node, digest));
    this.#top.files++;
  }

  /** Something beneath the selected directory. @param path from there */
  below(path: ByteString, name: ByteString, node: TreeNode, digest: string): void {
    const parent = path.slice(0, Math.max(0, path.length - name.length - 1));
    // A walk comes to directories before what is in them, so that the parent is one of those that are open.
    while (this.#open.length > 1 && this.#current().path !== parent) this.#close();
    const current = this.#current();
    if (node.type === 'directory') {
      this.#open.push(newOpen(path, name, node));
      return;
    }
    current.lines.push(name, this.#format(path, node, digest));
    current.files++;
  }

  /** The entries of a match are over. */
  end(): void {
    while (this.#open.length > 0) this.#close();
  }

  finish(): TreeListing {
    this.end();
    const root = this.#keep(this.#top);
    return { root, directories: this.#directories };
  }

  #current(): Open {
    return this.#open.at(-1) ?? this.#top;
  }

  #close(): void {
    const closed = this.#open.pop();
    if (closed === undefined) return;
    const id = this.#keep(closed);
    const parent = this.#current();
    parent.lines.push(closed.name, formatDirectory(closed.node, closed.files, id));
    if (this.#directories.has(id)) parent.children.push(id);
    parent.files += closed.files;
  }

  #keep({ lines, children }: Open): string {
    const text = JSON.stringify(lines);
    const id = sha256(text).slice(7, 39);
    const names = lines.length / 2;
    if (names <= MAX_NAMES && this.#total + names <= MAX_TOTAL && !this.#directories.has(id)) {
      this.#total += names;
      this.#directories.set(id, { text, children });
    }
    return id;
  }

  #format(path: ByteString, node: TreeNode, digest: string): string {
    let link = '';
    if (node.hardlink !== undefined) {
      const first = this.#links.get(node.hardlink);
      if (first === undefined) this.#links.set(node.hardlink, path);
      else link = `=${joinPath(this.#match, first)}`;
    }
    const device = node.device === undefined ? '' : `${node.device.major}.${node.device.minor}`;
    return `${attributes(node)},${digest.slice(0, 16)}${device},${node.linkname}${link}`;
  }
}

function newOpen(path: ByteString, name: ByteString, node: TreeNode | undefined): Open {
  return { path, name, node, lines: [], children: [], files: 0 };
}

function attributes({ type, mode, uid, gid }: TreeNode): string {
  return `${LETTERS[type]}${mode.toString(8)},${uid},${gid}`;
}

function formatDirectory(node: TreeNode | undefined, files: number, id: string): string {
  return `${node === undefined ? 'd,,' : attributes(node)},${files},${id}`;
}

/** What a line says of a file, as texts. */
export interface ListedNode {
  readonly type: NodeType;
  /** Octal; `''` of a directory of which only the contents were read, as are the owners. */
  readonly mode: string;
  readonly uid: string;
  readonly gid: string;
  /** Beginning of the digest of its content, or numbers of its device. */
  readonly content: string;
  /** Target of a symlink, or `=` and the first name of a file with several. */
  readonly link: string;
  /** Of a directory: how many files are beneath it, and the id of the list of its names. */
  readonly files: number;
  readonly id: string;
}

/** Reads a line; undefined for what is none. */
export function parseListedNode(line: string): ListedNode | undefined {
  const type = (Object.keys(LETTERS) as NodeType[]).find((one) => LETTERS[one] === line[0]);
  const [, mode = '', uid = '', gid = '', content = '', rest = ''] =
    /^.([0-7]*),(\d*),(\d*),([^,]*),(.*)$/s.exec(line) ?? [];
  if (type === undefined) return undefined;
  const isDirectory = type === 'directory';
  return {
    type,
    mode,
    uid,
    gid,
    content: isDirectory ? '' : content,
    link: isDirectory ? '' : rest,
    files: isDirectory ? Number(content) || 0 : 0,
    id: isDirectory ? rest : '',
  };
}
