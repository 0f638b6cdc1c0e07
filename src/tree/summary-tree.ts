import { type Digest, TsbuildError } from '../util/index.ts';
import { type ByteString, compareBytes, joinPath, toText } from './bytes.ts';
import type { ReadableTree, TreeNode, Xattr } from './node.ts';

/** A file that is known without what is in it. */
export interface SummaryLeaf {
  readonly node: TreeNode;
  /** Digest of its content, where that is known. Such a file has no extended attributes. */
  readonly content?: Digest | undefined;
}

/** A directory that is known. */
export interface SummaryDir {
  /** From the root (`''`), for messages. */
  readonly path: ByteString;
  readonly node: TreeNode;
  readonly entries: ReadonlyMap<ByteString, SummaryDir | SummaryLeaf>;
}

/** Whether a known name is a directory. */
export function isSummaryDir(entry: SummaryDir | SummaryLeaf): entry is SummaryDir {
  return 'entries' in entry;
}

const NONE: readonly Xattr[] = [];

/**
 * A tree that is known by its summary only: names, types, modes, owners, sizes, times and link targets of everything, and content of nothing.
 * Answers what a copy onto the tree asks for; whoever asks for more learns that files are needed, and `missed` says so
 * ever after, whatever became of the error on its way.
 */
export class SummaryTree implements ReadableTree<SummaryDir> {
  readonly root: SummaryDir;
  #missed = false;

  constructor(root: SummaryDir) {
    this.root = root;
  }

  /** Something was asked for that only the files themselves tell. */
  get missed(): boolean {
    return this.#missed;
  }

  list(dir: SummaryDir): readonly ByteString[] {
    return [...dir.entries.keys()].sort(compareBytes);
  }

  lookup(dir: SummaryDir, name: ByteString): TreeNode | undefined {
    return dir.entries.get(name)?.node;
  }

  stat(dir: SummaryDir): TreeNode {
    return dir.node;
  }

  enter(dir: SummaryDir, name: ByteString): SummaryDir {
    const entry = dir.entries.get(name);
    if (entry === undefined || !isSummaryDir(entry))
      throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a directory`);
    return entry;
  }

  leave(): void {
    // Handles hold no resources.
  }

  /** @throws TsbuildError always: there is no content */
  open(dir: SummaryDir, name: ByteString): never {
    this.#missed = true;
    const path = toText(joinPath(dir.path, name));
    throw new TsbuildError('TSB_INTERNAL', `Cannot read "/${path}": only a summary of its tree is here`);
  }

  close(): void {
    // Nothing was opened.
  }

  xattrs(dir: SummaryDir, name: ByteString, node: TreeNode): readonly Xattr[] {
    if (node.type !== 'file' || this.knownContent(dir, name) !== undefined) return NONE;
    return this.open(dir, name);
  }

  openXattrs(): readonly Xattr[] {
    return NONE;
  }

  knownContent(dir: SummaryDir, name: ByteString): Digest | undefined {
    const entry = dir.entries.get(name);
    return entry === undefined || isSummaryDir(entry) ? undefined : entry.content;
  }
}
