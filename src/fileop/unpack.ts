import type { CopyAction } from '../llb/index.ts';
import type { TarEntry } from '../layer/entry.ts';
import { TarReader } from '../layer/tar-reader.ts';
import {
  type ByteString,
  cleanNames,
  type FileWriter,
  type FsDir,
  type FsTree,
  isImageXattr,
  joinPath,
  type NodeAttributes,
  type ReadableTree,
  resolvePath,
  splitPath,
  toByteString,
  toText,
} from '../tree/index.ts';
import { isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';
import { decompressed, isArchive } from './archive.ts';
import { makeDirectories } from './directories.ts';
import type { Owner } from './owner.ts';

export interface UnpackOptions {
  readonly source: ReadableTree<unknown>;
  /** Path of the file in the source. */
  readonly match: ByteString;
  readonly tree: FsTree;
  readonly action: CopyAction;
  readonly owner: Owner | undefined;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Whether a match of an ADD is an archive that is to be unpacked. Symlinks to it are followed. */
export async function isArchiveMatch(source: ReadableTree<unknown>, match: ByteString): Promise<boolean> {
  const located = resolvePath(source, match, { followLast: true });
  const { node, parent, name } = located;
  try {
    if (node?.type !== 'file') return false;
    const fd = source.open(parent, name, node);
    try {
      return await isArchive(fd);
    } finally {
      source.close(fd, parent, name, node);
    }
  } finally {
    located.release();
  }
}

/**
 * Unpacks an archive into the destination directory, as ADD does: the directory is made when missing, and is the root
 * for all names and symlinks of the archive; directories merge, everything else replaces what is there; directories that
 * only names imply are 0755 0:0.
 * @throws TsbuildError `TSB_ARCHIVE` naming the entry
 */
export async function unpackArchive({
  source,
  match,
  tree,
  action,
  owner,
  warn,
  signal,
}: UnpackOptions): Promise<void> {
  const timestamp = action.timestamp === -1n ? undefined : action.timestamp;
  const dest = cleanNames(toByteString(action.dest)).join('/');
  makeDirectories(tree, dest, { mode: 0o755, owner, timestamp });
  const to = resolvePath(tree, dest, { followLast: true });
  const from = resolvePath(source, match, { followLast: true });
  try {
    if (to.self === undefined || !from.node) throw new TypeError('the destination was made and the source was sniffed');
    using target = tree.subtree(to.self);
    const unpacker = new Unpacker(target, owner, warn);
    const reader = new TarReader(unpacker);
    const fd = source.open(from.parent, from.name, from.node);
    try {
      for await (const chunk of decompressed(fd)) {
        signal.throwIfAborted();
        reader.push(chunk);
        if (reader.ended) break;
      }
      reader.finish();
      unpacker.finish();
    } catch (error) {
      unpacker.abandon();
      if (isTsbuildError(error) || signal.aborted) throw error;
      throw new TsbuildError('TSB_ARCHIVE', `Cannot unpack "/${toText(match)}": ${messageOf(error)}`, { cause: error });
    } finally {
      source.close(fd, from.parent, from.name, from.node);
    }
  } finally {
    from.release();
    to.release();
  }
}

class Unpacker {
  readonly #tree: FsTree;
  readonly #owner: Owner | undefined;
  readonly #warn: (message: string) => void;
  /** Times of directories, set when nothing more goes into them. */
  readonly #times = new Map<ByteString, bigint>();
  #writer: FileWriter | undefined;
  /** The parent of the last entry, by the name that the archive gives it. */
  #parent: { readonly path: ByteString; readonly dir: FsDir } | undefined;

  constructor(tree: FsTree, owner: Owner | undefined, warn: (message: string) => void) {
    this.#tree = tree;
    this.#owner = owner;
    this.#warn = warn;
  }

  entry(entry: TarEntry): void {
    const names = innerNames(entry, entry.path);
    const name = names.pop();
    if (name === undefined) return;
    const path = joinPath(names.join('/'), name);
    const dir = this.#enterParent(names.join('/'), entry);
    const existing = this.#tree.lookup(dir, name);
    if (existing && !(existing.type === 'directory' && entry.type === 'dir')) {
      this.#tree.remove(dir, name);
      // A removed directory may be the parent that is held, by way of a symlink.
      if (existing.type === 'directory') this.#leaveParent(path);
    }
    this.#make(entry, dir, name, path, existing?.type === 'directory' && entry.type === 'dir');
  }

  data(chunk: Buffer, offset: number): void {
    this.#writer?.write(chunk, offset);
  }

  end(): void {
    const writer = this.#writer;
    this.#writer = undefined;
    writer?.finish();
  }

  finish(): void {
    this.#leaveParent();
    for (const [path, mtimeNs] of [...this.#times].toReversed()) {
      const located = resolvePath(this.#tree, path, { followLast: false });
      if (located.self !== undefined) this.#tree.setAttributes(located.self, '', { mtimeNs });
      located.release();
    }
  }

  abandon(): void {
    this.#writer?.abandon();
    this.#writer = undefined;
    this.#leaveParent();
  }

  #make(entry: TarEntry, dir: FsDir, name: ByteString, path: ByteString, exists: boolean): void {
    const tree = this.#tree;
    const attributes = this.#attributes(entry);
    switch (entry.type) {
      case 'dir':
        if (exists) tree.setAttributes(dir, name, attributes);
        else tree.mkdir(dir, name, attributes);
        this.#times.delete(path);
        this.#times.set(path, attributes.mtimeNs);
        return;
      case 'file':
        this.#writer = tree.writeFile(dir, name, entry.size, attributes);
        return;
      case 'symlink':
        return tree.symlink(dir, name, entry.linkPath, attributes);
      case 'hardlink': {
        const located = resolvePath(tree, innerNames(entry, entry.linkPath).join('/'), { followLast: false });
        located.release();
        if (!located.node || located.node.type === 'directory') {
          throw fault(entry, `its link target "${toText(entry.linkPath)}" is not a file of the archive`);
        }
        return tree.link(located.path, dir, name);
      }
      case 'fifo':
        return tree.mkfifo(dir, name, attributes);
      case 'char':
      case 'block':
        this.#warn(`Device "${toText(entry.path)}" was left out: devices cannot be made without privileges`);
    }
  }

  #enterParent(path: ByteString, entry: TarEntry): FsDir {
    if (this.#parent?.path === path) return this.#parent.dir;
    this.#leaveParent();
    makeDirectories(this.#tree, path, { mode: 0o755, owner: undefined, timestamp: undefined });
    const located = resolvePath(this.#tree, path, { followLast: true });
    try {
      if (located.self === undefined) throw fault(entry, 'its parent is not a directory');
      const dir = this.#tree.keep(located.self);
      this.#parent = { path, dir };
      return dir;
    } finally {
      located.release();
    }
  }

  #leaveParent(removed?: ByteString): void {
    if (removed !== undefined && this.#parent && !isSelfOrBelow(this.#parent.dir.path, removed)) return;
    if (this.#parent) this.#tree.leave(this.#parent.dir);
    this.#parent = undefined;
  }

  #attributes(entry: TarEntry): NodeAttributes & { readonly mtimeNs: bigint } {
    const xattrs = [...(entry.xattrs ?? [])]
      .filter(([name]) => isImageXattr(name))
      .map(([name, value]) => ({ name, value }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      mode: entry.mode,
      uid: this.#owner?.uid ?? entry.uid,
      gid: this.#owner?.gid ?? entry.gid,
      mtimeNs: BigInt(entry.mtime.sec) * 1_000_000_000n + BigInt(entry.mtime.nsec),
      xattrs,
    };
  }
}

function isSelfOrBelow(path: ByteString, dir: ByteString): boolean {
  return path === dir || path.startsWith(`${dir}/`);
}

/** The names of an entry's path below the destination; one that climbs out is refused (kaniko CVE-2026-28406 class). */
function innerNames(entry: TarEntry, path: ByteString): ByteString[] {
  const names: ByteString[] = [];
  for (const name of splitPath(path)) {
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) throw fault(entry, 'it lies outside of the destination');
  }
  return names;
}

function fault(entry: TarEntry, why: string): TsbuildError {
  return new TsbuildError('TSB_ARCHIVE', `Cannot unpack archive entry "${toText(entry.path)}": ${why}`);
}
