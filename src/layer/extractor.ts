import { fchmodSync, ftruncateSync, writeSync } from 'node:fs';
import {
  close,
  fchown,
  type FileStat,
  linkat,
  mkdirat,
  mknodat,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  openat,
  readlinkat,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  setXattr,
  statatIfExists,
  symlinkat,
  unlinkat,
  utimensat,
} from '../sys/index.ts';
import { type ByteString, findMerged, isDir, isWhiteout, makeWhiteout, OPAQUE, toFsPath } from '../tree/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { memberPath, quote } from './byte-string.ts';
import { copyDirAttributes, copyLowerFile, initRoot } from './copy-up.ts';
import { DirHandles, DirNode } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import { EntryAttributes } from './entry-attributes.ts';
import type { LowerRoots } from './lower-roots.ts';
import { removeAt } from './remove-tree.ts';
import type { TarHandler } from './tar-reader.ts';
import { WHITEOUT, WHITEOUT_META } from './whiteout.ts';

/** Where entries go and what they are given. */
export interface ExtractorOptions {
  /** The directory that entries are extracted beneath. */
  readonly rootFd: number;
  /**
   * The target is a layer's own directory, empty at first: `.wh.` entries become overlay whiteouts. Otherwise it is a
   * mounted tree and `.wh.` names are names like any other.
   */
  readonly layer: boolean;
  /**
   * The layers below, for `layer`: parents and link targets may be in them only. They are opened when something is looked up in
   * them; whoever made this closes them.
   */
  readonly lowers?: LowerRoots;
  /** Added to every owner. */
  readonly idShift: number;
  /** Owners from this on cannot be stored. */
  readonly idCount: number;
  /** Replaces the owners that the archive states. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** In a mounted tree: a directory is never replaced by something else, and takes the place of nothing. */
  readonly keepKinds?: boolean;
}

/** More symlinks than this in one path are a loop, as for the kernel. */
const MAX_SYMLINKS = 40;
const MAX_DEPTH = 1000;
const MAX_SKIPPED = 100;
const OPAQUE_MARKER = '.wh..wh..opq';

/**
 * Writes archive entries beneath a directory, as the `TarHandler` of a reader. Every path is walked by directory fds
 * one name at a time; symlinks are resolved within the root (security rules 1 and 2). A later entry replaces an earlier
 * one of its name. Devices are skipped.
 */
export class Extractor implements TarHandler {
  /** Bytes of file content and number of files made. */
  bytes = 0;
  inodes = 0;
  /** Paths of devices and such that were not made; the first hundred. */
  readonly skipped: ByteString[] = [];
  readonly #options: ExtractorOptions;
  readonly #handles: DirHandles;
  readonly #attributes: EntryAttributes;
  readonly #root: DirNode = new DirNode(undefined, '');
  /** Directories by the path that entries use, until something is replaced. */
  readonly #parents = new Map<ByteString, DirNode>();
  #file = -1;
  #position = 0;
  #rootWasNamed = false;

  constructor(options: ExtractorOptions) {
    this.#options = options;
    this.#attributes = new EntryAttributes(options);
    this.#handles = new DirHandles(options.lowers);
    this.#root.fd = options.rootFd;
  }

  entry(entry: TarEntry): void {
    this.#handles.trim();
    try {
      this.#extract(entry);
    } catch (error) {
      throw explain(error, entry);
    }
  }

  data(chunk: Buffer, offset: number): void {
    if (this.#file < 0) return;
    try {
      for (let at = 0; at < chunk.length;) {
        const place = offset + at === this.#position ? null : offset + at;
        const count = writeSync(this.#file, chunk, at, chunk.length - at, place);
        at += count;
        if (place === null) this.#position += count;
      }
    } catch (error) {
      throw fromErrno(error, 'Cannot write extracted files', 'TSB_STORE');
    }
  }

  end(entry: TarEntry): void {
    if (this.#file < 0) return;
    try {
      if (entry.sparse) ftruncateSync(this.#file, entry.size);
      this.bytes += entry.size;
      this.#attributes.ofFile(this.#file, entry);
      this.#closeFile();
    } catch (error) {
      throw explain(error, entry);
    }
  }

  /** Sets the times of directories, and the root's attributes where no entry did. */
  finish(): void {
    const { layer, rootFd, idShift } = this.#options;
    if (layer && !this.#rootWasNamed) this.#root.mtime = initRoot(rootFd, this.#handles.topLower(this.#root), idShift);
    // Children first: setting a directory's times does not change its parent's.
    const pending = [this.#root];
    for (let node = pending.pop(); node; node = pending.pop()) {
      this.#handles.trim();
      if (node.mtime) utimensat(this.#handles.fd(node), '.', node.mtime, node.mtime);
      for (const child of node.children.values()) pending.push(child);
    }
  }

  /** Closes everything that was opened here. */
  dispose(): void {
    this.#closeFile();
    this.#handles.closeAll();
  }

  #closeFile(): void {
    if (this.#file >= 0) close(this.#file);
    this.#file = -1;
  }

  #extract(entry: TarEntry): void {
    const path = memberPath(entry.path);
    const { layer } = this.#options;
    if (path === '') return this.#extractRoot(entry);
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const parentPath = slash === -1 ? '' : path.slice(0, slash);
    if (layer) {
      if (name.startsWith(WHITEOUT)) {
        this.#whiteout(entry, parentPath, name);
        return;
      }
      if (path.startsWith(WHITEOUT_META)) {
        this.#skip(path);
        return;
      }
    }
    if (name.length > 255) fail(entry, 'a name in it is longer than 255 bytes');
    this.#make(entry, this.#parent(entry, parentPath), name, path);
  }

  #extractRoot(entry: TarEntry): void {
    const isDir = entry.type === 'directory';
    if (!this.#options.layer) {
      // ADD leaves the directory alone that it extracts to, as docker's extraction does.
      if (!isDir) this.#skip('');
      return;
    }
    if (!isDir) fail(entry, 'only a directory can stand for the root');
    this.#rootWasNamed = true;
    this.#ofDir(this.#root, entry);
  }

  #parent(entry: TarEntry, path: ByteString): DirNode {
    const known = this.#parents.get(path);
    if (known) return known;
    const node = this.#resolve(entry, path, true);
    if (!node) throw new TsbuildError('TSB_INTERNAL', 'A directory was not made');
    if (this.#parents.size > 10_000) this.#parents.clear();
    this.#parents.set(path, node);
    return node;
  }

  /**
   * Walks to a directory within the root, following symlinks. Directories that exist below only are made here with
   * their attributes; with `make` so are missing ones.
   */
  #resolve(entry: TarEntry, path: ByteString, make: boolean): DirNode | undefined {
    const names = path.split('/').reverse();
    let node = this.#root;
    let hops = 0;
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        node = node.parent ?? node;
        continue;
      }
      const child = node.children.get(name);
      if (child) {
        node = child;
        continue;
      }
      const found = this.#look(node, name);
      if (found && (found.stat.mode & S_IFMT) === S_IFLNK) {
        if (++hops > MAX_SYMLINKS) fail(entry, 'it leads through too many symlinks');
        const target = readlinkat(found.dirfd, toFsPath(name)).toString('latin1');
        if (target.startsWith('/')) node = this.#root;
        names.push(...target.split('/').reverse());
      } else if (found && !isDir(found.stat)) fail(entry, `its parent ${quote(name)} is not a directory`);
      else if (found && found.dirfd === this.#handles.fd(node)) node = this.#addNode(entry, node, name);
      else if (found) node = this.#implied(entry, node, name, found.dirfd);
      else if (make) node = this.#implied(entry, node, name, undefined);
      else return undefined;
    }
    return node;
  }

  /** What the merged view has under a name. */
  #look(node: DirNode, name: ByteString): { readonly dirfd: number; readonly stat: FileStat } | undefined {
    const dirfd = this.#handles.fd(node);
    const stat = statatIfExists(dirfd, toFsPath(name));
    if (stat) return this.#options.layer && isWhiteout(stat, dirfd, name) ? undefined : { dirfd, stat };
    return findMerged(this.#handles.lowers(node), name);
  }

  #addNode(entry: TarEntry, parent: DirNode, name: ByteString): DirNode {
    const node = new DirNode(parent, name);
    if (node.depth > MAX_DEPTH) fail(entry, `it is more than ${MAX_DEPTH} directories deep`);
    parent.children.set(name, node);
    return node;
  }

  /** Makes a directory that the archive has no entry for (yet), like the one below where there is one. */
  #implied(entry: TarEntry, parent: DirNode, name: ByteString, below: number | undefined): DirNode {
    if (name.length > 255) fail(entry, 'a name in it is longer than 255 bytes');
    const node = this.#addNode(entry, parent, name);
    const wasHidden = this.#makeDir(node);
    if (wasHidden) this.#setOpaque(node);
    const lower = below === undefined ? undefined : this.#handles.topLower(node);
    const fd = this.#handles.fd(node);
    if (lower !== undefined) {
      node.mtime = copyDirAttributes(lower, fd);
      return node;
    }
    // Root's, whatever owner is asked for: `ADD --chown` is about what the archive has (as BuildKit does it).
    const { idShift } = this.#options;
    fchown(fd, idShift, idShift);
    fchmodSync(fd, 0o755);
    node.mtime = entry.mtime;
    return node;
  }

  /** Makes the directory of a node; true when it takes the place of something that hid the layers below. */
  #makeDir(node: DirNode): boolean {
    const dirfd = this.#handles.fd(node.parent ?? this.#root);
    this.inodes++;
    try {
      mkdirat(dirfd, toFsPath(node.name), 0o700);
      return false;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      unlinkat(dirfd, toFsPath(node.name));
      this.#parents.clear();
      this.inodes--;
      mkdirat(dirfd, toFsPath(node.name), 0o700);
      return true;
    }
  }

  #setOpaque(node: DirNode): void {
    if (!this.#options.layer || node.opaque) return;
    // Nothing below, nothing to hide; the mark would only show up in later diffs.
    if (this.#handles.lowers(node).length > 0) setXattr(this.#handles.fd(node), OPAQUE, 'y');
    node.opaque = true;
    this.#handles.forget();
  }

  #whiteout(entry: TarEntry, parentPath: ByteString, name: ByteString): void {
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..') fail(entry, 'it is a whiteout of no valid name');
    const parent = this.#resolve(entry, parentPath, false);
    if (!parent) return;
    if (name === OPAQUE_MARKER) return this.#setOpaque(parent);
    if (name.startsWith(WHITEOUT_META)) return this.#skip(`${parentPath}/${name}`);
    if (!findMerged(this.#handles.lowers(parent), hidden)) return;
    // A whiteout is about the layers below, never about what this layer has under the name.
    const child = parent.children.get(hidden);
    if (child) return this.#setOpaque(child);
    const dirfd = this.#handles.fd(parent);
    if (statatIfExists(dirfd, toFsPath(hidden))) return;
    makeWhiteout(dirfd, hidden);
    this.inodes++;
  }

  #refuseOtherKind(entry: TarEntry, parent: DirNode, name: ByteString): void {
    const stat = statatIfExists(this.#handles.fd(parent), toFsPath(name));
    if (stat === undefined || isDir(stat) === (entry.type === 'directory')) return;
    fail(
      entry,
      isDir(stat) ? 'there is a directory of that name' : 'there is a file of that name, where a directory is to be',
    );
  }

  #make(entry: TarEntry, parent: DirNode, name: ByteString, path: ByteString): void {
    if (this.#options.keepKinds) this.#refuseOtherKind(entry, parent, name);
    switch (entry.type) {
      case 'directory': {
        let node = parent.children.get(name) ?? this.#existingDir(entry, parent, name);
        if (!node) {
          node = this.#addNode(entry, parent, name);
          if (this.#makeDir(node)) this.#setOpaque(node);
        }
        return this.#ofDir(node, entry);
      }
      case 'file':
        this.#file = this.#create(parent, name, (dirfd) =>
          openat(dirfd, toFsPath(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
        );
        this.#position = 0;
        return;
      case 'symlink':
        this.#create(parent, name, (dirfd) => symlinkat(toFsPath(entry.linkPath), dirfd, toFsPath(name)));
        return this.#attributes.ofName(this.#handles.fd(parent), name, entry);
      case 'fifo':
        this.#create(parent, name, (dirfd) => mknodat(dirfd, toFsPath(name), S_IFIFO | 0o600));
        return this.#attributes.ofName(this.#handles.fd(parent), name, entry);
      case 'hardlink':
        return this.#link(entry, parent, name);
      case 'char':
      case 'block':
        return this.#skip(path);
    }
  }

  /** The time waits for `finish`: what is made in a directory changes it. */
  #ofDir(node: DirNode, entry: TarEntry): void {
    this.#attributes.ofDir(this.#handles.fd(node), entry);
    node.mtime = entry.mtime;
  }

  #skip(path: ByteString): void {
    if (this.skipped.length < MAX_SKIPPED) this.skipped.push(path);
  }

  /** In a mounted tree a directory may be there already. */
  #existingDir(entry: TarEntry, parent: DirNode, name: ByteString): DirNode | undefined {
    if (this.#options.layer) return undefined;
    const stat = statatIfExists(this.#handles.fd(parent), toFsPath(name));
    return stat && isDir(stat) ? this.#addNode(entry, parent, name) : undefined;
  }

  /** Makes a file, in place of whatever has its name. */
  #create<T>(parent: DirNode, name: ByteString, make: (dirfd: number) => T): T {
    this.inodes++;
    try {
      return make(this.#handles.fd(parent));
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    this.inodes--;
    this.#parents.clear();
    if (parent.children.delete(name)) this.#handles.forget();
    removeAt(this.#handles.fd(parent), name);
    return make(this.#handles.fd(parent));
  }

  #link(entry: TarEntry, parent: DirNode, name: ByteString): void {
    const target = memberPath(entry.linkPath);
    const slash = target.lastIndexOf('/');
    const base = target.slice(slash + 1);
    const dir = target === '' ? undefined : this.#resolve(entry, slash === -1 ? '' : target.slice(0, slash), false);
    const found = dir ? this.#look(dir, base) : undefined;
    if (!dir || !found) fail(entry, `its link target ${quote(entry.linkPath)} does not exist`);
    if (isDir(found.stat)) fail(entry, `its link target ${quote(entry.linkPath)} is a directory`);
    if (dir === parent && base === name) return;
    const dirfd = this.#handles.fd(dir);
    if (found.dirfd !== dirfd) {
      this.bytes += copyLowerFile(found.dirfd, found.stat, dirfd, base);
      this.inodes++;
    }
    this.#create(parent, name, (parentfd) => linkat(this.#handles.fd(dir), toFsPath(base), parentfd, toFsPath(name)));
    // The new name is no new inode.
    this.inodes--;
    // What the entry of an archive says is said of the file, as with BuildKit. Layers say the same of all names of a file, and chown
    // would take away capabilities.
    if (!this.#options.layer && (found.stat.mode & S_IFMT) !== S_IFLNK)
      this.#attributes.ofName(this.#handles.fd(parent), name, entry);
  }
}

function fail(entry: TarEntry, reason: string): never {
  throw new TsbuildError('TSB_ARCHIVE', `Cannot extract ${quote(entry.path)}: ${reason}`);
}

function explain(error: unknown, entry: TarEntry): TsbuildError {
  const errno = errnoOf(error);
  const doing = `Cannot extract ${quote(entry.path)}`;
  // These follow from what the archive says, the others from the machine.
  if (errno === 'ENAMETOOLONG' || errno === 'EINVAL' || errno === 'ENOENT' || errno === 'ELOOP')
    return new TsbuildError('TSB_ARCHIVE', `${doing}: ${errno}`, { cause: error });
  return fromErrno(error, doing, 'TSB_STORE');
}
