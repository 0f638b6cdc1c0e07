import { closeSync, fchmodSync, readdirSync, readSync, writeSync } from 'node:fs';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  close,
  fchmodat,
  fchown,
  fchownat,
  fdPath,
  fstat,
  linkat,
  mkdirat,
  mknodat,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  openat,
  S_IFIFO,
  statat,
  statatIfExists,
  symlinkat,
  unlinkat,
  utimensat,
} from '../sys/index.ts';
import { errnoOf, TsbuildError } from '../util/index.ts';
import { type ByteString, compareBytes, joinPath, toFsPath, toText } from './bytes.ts';
import type { FileContent, NodeAttributes, TreeNode, WritableTree, Xattr } from './node.ts';
import { splitPath } from './resolve.ts';
import { statNode } from './stat-node.ts';
import { toTimespec } from './timespec.ts';
import { readXattrs, writeXattr } from './xattrs.ts';

/** An open directory below the root. */
export interface FsDir {
  readonly fd: number;
  /** From the root (`''`), for messages. */
  readonly path: ByteString;
  /** New files take the directory's group. */
  readonly setgid: boolean;
}

/** How a tree that can be changed is opened. */
export interface FsTreeOptions {
  /** Added to image ids when files are given away, subtracted when they are read. */
  readonly idShift: number;
  /** Image ids from here on cannot be represented. Default: 65536 with a shift, else 2^32 - 1. */
  readonly idLimit?: number;
  /**
   * Files that are made get their names when they are whole, where the file system can do that: for directories that somebody may look
   * into after the process was killed. Costs about 6 µs a file.
   */
  readonly whole?: boolean;
}

const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const CREATE_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const CHUNK = 1 << 20;
let chunk: Buffer | undefined;

/**
 * Files beneath one directory of this machine: a mounted image root, or a plain directory. Every call goes through the
 * fd of a directory and one name that is not followed, so symlinks placed or swapped by whoever wrote the tree cannot
 * lead outside (security rule 1). Errors are Node's system errors; callers say what was being done.
 */
export class FsTree implements WritableTree<FsDir> {
  readonly root: FsDir;
  readonly idShift: number;
  /** Image ids from here on cannot be represented. */
  readonly idLimit: number;
  readonly #uid: number = process.geteuid?.() ?? 0;
  readonly #gid: number = process.getegid?.() ?? 0;
  #whole: boolean;

  private constructor(root: FsDir, options: FsTreeOptions) {
    this.root = root;
    this.idShift = options.idShift;
    this.#whole = options.whole ?? false;
    this.idLimit = options.idLimit ?? (options.idShift > 0 ? 65_536 : 2 ** 32 - 1);
  }

  /** @param path of a trusted directory; symlinks in it are followed */
  static open(path: string, options: FsTreeOptions): FsTree {
    const fd = openat(-100, path, O_RDONLY | O_DIRECTORY);
    return new FsTree({ fd, path: '', setgid: (fstat(fd).mode & 0o2000) !== 0 }, options);
  }

  [Symbol.dispose](): void {
    close(this.root.fd);
  }

  list(dir: FsDir): readonly ByteString[] {
    return readdirSync(`/proc/self/fd/${dir.fd}`, 'latin1').sort(compareBytes);
  }

  lookup(dir: FsDir, name: ByteString): TreeNode | undefined {
    const stat = statatIfExists(dir.fd, checkName(name));
    return stat && statNode(stat, dir.fd, name, this.idShift);
  }

  stat(dir: FsDir): TreeNode {
    return statNode(fstat(dir.fd), dir.fd, '', this.idShift);
  }

  enter(dir: FsDir, name: ByteString): FsDir {
    const fd = openat(dir.fd, checkName(name), OPEN_DIRECTORY);
    return { fd, path: joinPath(dir.path, name), setgid: (fstat(fd).mode & 0o2000) !== 0 };
  }

  leave(dir: FsDir): void {
    if (dir !== this.root) close(dir.fd);
  }

  open(dir: FsDir, name: ByteString): number {
    return openat(dir.fd, checkName(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  close(fd: number): void {
    closeSync(fd);
  }

  xattrs(dir: FsDir, name: ByteString, node: TreeNode): readonly Xattr[] {
    return node.type === 'file' ? readXattrs(fdPath(dir.fd, checkName(name)), this.idShift) : [];
  }

  openXattrs(fd: number): readonly Xattr[] {
    return readXattrs(fd, this.idShift);
  }

  mkdir(dir: FsDir, name: ByteString, attributes: NodeAttributes): void {
    mkdirat(dir.fd, checkName(name), 0o700);
    this.setAttributes(dir, name, attributes);
  }

  createFile(dir: FsDir, name: ByteString, attributes: NodeAttributes, content: FileContent | Uint8Array): void {
    const path = checkName(name);
    const unnamed = this.#whole ? this.#openUnnamed(dir) : undefined;
    const fd = unnamed ?? openat(dir.fd, path, CREATE_FILE, 0o600);
    try {
      if (content instanceof Uint8Array) {
        writeAll(fd, content, content.length);
        this.#finishFile(fd, dir, name, attributes);
      } else this.#finishFile(fd, dir, name, attributes, copyContent(content, fd));
      if (unnamed === undefined || this.#nameIt(fd, dir, path)) return;
    } finally {
      close(fd);
    }
    this.createFile(dir, name, attributes, content);
  }

  #openUnnamed(dir: FsDir): number | undefined {
    try {
      return openat(dir.fd, '.', O_TMPFILE | O_WRONLY, 0o600);
    } catch {
      // The file system has no such thing, or the error comes again with a name.
      this.#whole = false;
      return undefined;
    }
  }

  /** @returns false where files without a name cannot get one */
  #nameIt(fd: number, dir: FsDir, name: string | Buffer): boolean {
    try {
      linkat(AT_FDCWD, fdPath(fd), dir.fd, name, AT_SYMLINK_FOLLOW);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw error;
      this.#whole = false;
      return false;
    }
  }

  #finishFile(fd: number, dir: FsDir, name: ByteString, attributes: NodeAttributes, more: readonly Xattr[] = []): void {
    const uid = this.#diskId(attributes.uid, joinPath(dir.path, name));
    const gid = this.#diskId(attributes.gid, joinPath(dir.path, name));
    // Chown clears setuid bits and file capabilities, so it comes first.
    if (uid !== this.#uid || gid !== this.#gid || dir.setgid) fchown(fd, uid, gid);
    fchmodSync(fd, attributes.mode);
    for (const xattr of more) writeXattr(fd, xattr, this.idShift);
    for (const xattr of attributes.xattrs) writeXattr(fd, xattr, this.idShift);
    if (attributes.mtimeNs !== undefined) setTimes(fd, null, attributes.mtimeNs);
  }

  truncateFile(dir: FsDir, name: ByteString, content: Uint8Array): void {
    const path = checkName(name);
    const { mode } = statat(dir.fd, path);
    const fd = openat(dir.fd, path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK);
    try {
      writeAll(fd, content, content.length);
      // Root of a user namespace takes setuid and setgid bits off by truncating, the machine's root does not.
      fchmodSync(fd, mode & 0o7777);
    } finally {
      close(fd);
    }
  }

  symlink(dir: FsDir, name: ByteString, target: ByteString, attributes: NodeAttributes): void {
    symlinkat(toFsPath(target), dir.fd, checkName(name));
    this.#setOwner(dir, name, attributes.uid, attributes.gid);
    if (attributes.mtimeNs !== undefined) setTimes(dir.fd, toFsPath(name), attributes.mtimeNs);
  }

  mkfifo(dir: FsDir, name: ByteString, attributes: NodeAttributes): void {
    mknodat(dir.fd, checkName(name), S_IFIFO | 0o600);
    this.setAttributes(dir, name, { ...attributes, xattrs: [] });
  }

  link(target: ByteString, dir: FsDir, name: ByteString): void {
    const names = splitPath(target);
    const last = names.pop() ?? '';
    let from = this.root;
    try {
      for (const one of names) {
        const next = this.enter(from, one);
        this.leave(from);
        from = next;
      }
      linkat(from.fd, checkName(last), dir.fd, checkName(name));
    } finally {
      this.leave(from);
    }
  }

  setAttributes(dir: FsDir, name: ByteString, attributes: Partial<NodeAttributes>): void {
    const { mode, uid, gid, mtimeNs, xattrs } = attributes;
    // Owners first: chown clears setuid bits and file capabilities.
    if (uid !== undefined || gid !== undefined) this.#setOwner(dir, name, uid, gid);
    if (mode !== undefined) {
      if (name === '') fchmodSync(dir.fd, mode);
      else fchmodat(dir.fd, checkName(name), mode);
    }
    for (const xattr of xattrs ?? []) {
      writeXattr(name === '' ? dir.fd : fdPath(dir.fd, checkName(name)), xattr, this.idShift);
    }
    if (mtimeNs !== undefined) setTimes(dir.fd, name === '' ? null : checkName(name), mtimeNs);
  }

  remove(dir: FsDir, name: ByteString): void {
    const entry = checkName(name);
    try {
      unlinkat(dir.fd, entry);
      return;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT') return;
      if (errno !== 'EISDIR' && errno !== 'EPERM') throw error;
    }
    const child = this.enter(dir, name);
    try {
      for (const one of this.list(child)) this.remove(child, one);
    } finally {
      this.leave(child);
    }
    unlinkat(dir.fd, entry, AT_REMOVEDIR);
  }

  #setOwner(dir: FsDir, name: ByteString, uid: number | undefined, gid: number | undefined): void {
    const path = joinPath(dir.path, name);
    const user = uid === undefined ? -1 : this.#diskId(uid, path);
    const group = gid === undefined ? -1 : this.#diskId(gid, path);
    if (name === '') fchown(dir.fd, user, group);
    else fchownat(dir.fd, checkName(name), user, group, AT_SYMLINK_NOFOLLOW);
  }

  #diskId(id: number, path: ByteString): number {
    if (Number.isInteger(id) && id >= 0 && id < this.idLimit) return id + this.idShift;
    throw new TsbuildError(
      'TSB_PERMISSION',
      `Cannot set the owner of "/${toText(path)}": id ${id} is not below ${this.idLimit}`,
      { hint: 'use smaller ids, or add more sub-ids to /etc/subuid and /etc/subgid' },
    );
  }
}

/** A name as the kernel takes it; everything that is not one name below a directory is refused. */
function checkName(name: ByteString): string | Buffer {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) {
    throw new TsbuildError('TSB_INTERNAL', `Cannot use "${toText(name)}" as the name of a file`);
  }
  return toFsPath(name);
}

function setTimes(fd: number, name: string | Buffer | null, ns: bigint): void {
  const time = toTimespec(ns);
  utimensat(fd, name, time, time);
}

/** Returns the extended attributes that come with the content. */
function copyContent(content: FileContent, to: number): readonly Xattr[] {
  const from = content.open();
  const buffer = (chunk ??= Buffer.allocUnsafeSlow(CHUNK));
  let closed = false;
  try {
    let length = readSync(from, buffer, 0, CHUNK, null);
    let copied = 0;
    while (length > 0) {
      writeAll(to, buffer, length);
      copied += length;
      // Whoever closes the file sees whether it grew meanwhile.
      if (copied === content.size) break;
      length = readSync(from, buffer, 0, CHUNK, null);
    }
    const xattrs = content.xattrs(from);
    closed = true;
    content.close(from);
    return xattrs;
  } finally {
    if (!closed) closeSync(from);
  }
}

function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  for (let done = 0; done < length;) done += writeSync(fd, bytes, done, length - done, null);
}
