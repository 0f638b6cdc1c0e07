import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { sysAvailable } from '../sys/index.ts';
import { type Digest, errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { type ByteString, compareBytes, joinPath, toByteString, toFsPath, toText } from './bytes.ts';
import { contentIdentity, hashFile } from './content.ts';
import { type GivenAttributes, type ContextNode, toNode } from './context-node.ts';
import { hashTogether, SMALL } from './hash-together.ts';
import { type HostStat, isStill, lookUp, sameInode, toHostStat } from './host-stat.ts';
import { nodeType, type ReadableTree, type TreeNode, type Xattr } from './node.ts';
import { getState } from './state-sum.ts';
import { readXattrs } from './xattrs.ts';

/** What an ignore file says; paths are relative to the context root, as text, with `/` between names. */
export interface ContextIgnore {
  /** `info` of a directory is handed back as `parent` for what is in it. */
  ignored(path: string, isDir: boolean, parent?: Uint8Array): { readonly ignored: boolean; readonly info?: Uint8Array };
  /** Whether nothing below an ignored directory can be let in again. */
  canSkipDir(path: string): boolean;
}

/**
 * Remembers digests of a context's files between builds (src/cache has one). `path` is relative to the context; an entry
 * counts only while the whole stat is equal, and it is for the cache to refuse files changed so recently that a further
 * change could leave the stat equal.
 */
export interface DigestCache {
  get(path: ByteString, stat: HostStat): Digest | undefined;
  put(path: ByteString, stat: HostStat, digest: Digest): void;
}

/**
 * Permissions and times that count in place of the files' own: those of a checkout depend on the umask of whoever made it, and on when
 * that was.
 */
export interface ContextModes {
  /**
   * @param path relative to the context
   * @param mode its own, octal, type bits included
   * @returns permission bits; undefined for its own
   */
  modeOf(path: ByteString, mode: number, isDir: boolean): number | undefined;
  /** Seconds since the epoch; undefined for its own. */
  timeOf(path: ByteString): number | undefined;
}

/** What of a context counts, and what is known of it. */
export interface ContextOptions {
  readonly ignore?: ContextIgnore;
  readonly stats?: DigestCache;
  readonly modes?: ContextModes;
  /** Whether extended attributes are read. Default: when src/sys works here. */
  readonly xattrs?: boolean;
}

/** A directory of a context, read when it is first needed. */
export interface ContextDir {
  /** From the context's root, which is `''`. */
  readonly path: ByteString;
  readonly node: ContextNode;
  readonly children: Map<ByteString, ContextDir>;
  nodes: ReadonlyMap<ByteString, ContextNode> | undefined;
  names: readonly ByteString[];
  /** Ignored directories that were read, since something in them might have been let in again. */
  readonly dropped: ContextDir[];
  /** What the ignore matcher wants back for the entries. */
  ignoreInfo: Uint8Array | undefined;
  /** Names that are there and were ignored. */
  readonly ignored: ByteString[];
  /** Names that were looked up before all were listed. */
  readonly asked: Set<ByteString>;
  /** Whether all names were asked for. */
  listed: boolean;
}

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * A local build context: the files below a host directory minus what the ignore file excludes, all owned by 0:0.
 * Directories are read lazily and once, so that a build touches only what its steps name and sees one state throughout.
 * A path that changes after it was read gives `TSB_CHANGED`: directories are recognised by inode, files by their whole
 * stat, so neither a replaced file nor a directory swapped for a symlink leads outside (CVE-2018-15664 class).
 */
export class ContextTree implements ReadableTree<ContextDir> {
  readonly root: ContextDir;
  /** Absolute, symlinks resolved. */
  readonly rootPath: ByteString;
  readonly #options: ContextOptions;
  readonly #frozen: boolean;
  #xattrs: boolean | undefined;
  #touched: Set<ContextDir> | undefined;

  private constructor(rootPath: ByteString, root: ContextDir, options: ContextOptions, frozen: boolean) {
    this.rootPath = rootPath;
    this.root = root;
    this.#options = options;
    this.#frozen = frozen;
    this.#xattrs = options.xattrs;
  }

  /**
   * @param path directory on the host; a symlink to it is followed
   * @throws TsbuildError `TSB_CONTEXT` or `TSB_PERMISSION`
   */
  static open(path: string, options: ContextOptions = {}): ContextTree {
    try {
      const rootPath = realpathSync(toFsPath(toByteString(path)), 'latin1');
      const stats = lstatSync(toFsPath(rootPath), { bigint: true });
      if (!stats.isDirectory()) {
        throw new TsbuildError('TSB_CONTEXT', `Cannot use build context "${path}": it is not a directory`);
      }
      const stat = toHostStat(stats);
      const { modes } = options;
      const node = toNode(stat, '', { mode: modes?.modeOf('', stat.mode, true), mtime: modes?.timeOf('') });
      return new ContextTree(rootPath, newDir('', node), options, false);
    } catch (error) {
      throw fromErrno(error, `Cannot read build context "${path}"`, 'TSB_CONTEXT');
    }
  }

  /** A tree of directories that were read elsewhere: nothing more is read, but for content. See `decodeContext`. */
  static frozen(rootPath: ByteString, root: ContextDir, xattrs: boolean): ContextTree {
    return new ContextTree(rootPath, root, { xattrs }, true);
  }

  /** Runs `walk` and returns the directories that it read, for `encodeContext`. */
  record(walk: () => void): ReadonlySet<ContextDir> {
    const outer = this.#touched;
    const touched = new Set<ContextDir>([this.root]);
    this.#touched = touched;
    try {
      walk();
    } finally {
      this.#touched = outer;
    }
    return touched;
  }

  /** Whether nothing of this name in a directory is ever part of the context, be it a file or a directory, also before it is there. */
  leavesOut(dir: ContextDir, name: ByteString): boolean {
    const { ignore } = this.#options;
    const path = toText(joinPath(dir.path, name));
    const leaves = (isDir: boolean): boolean => ignore?.ignored(path, isDir, dir.ignoreInfo).ignored === true;
    return leaves(false) && leaves(true) && ignore?.canSkipDir(path) === true;
  }

  get hasXattrs(): boolean {
    return (this.#xattrs ??= sysAvailable());
  }

  list(dir: ContextDir): readonly ByteString[] {
    this.#load(dir);
    dir.listed = true;
    return dir.names;
  }

  lookup(dir: ContextDir, name: ByteString): ContextNode | undefined {
    if (!dir.listed) dir.asked.add(name);
    return this.#load(dir).get(name);
  }

  stat(dir: ContextDir): ContextNode {
    return dir.node;
  }

  enter(dir: ContextDir, name: ByteString): ContextDir {
    const node = this.lookup(dir, name);
    const known = dir.children.get(name);
    if (known) return known;
    if (node?.type !== 'directory') throw new TypeError(`"${toText(joinPath(dir.path, name))}" is not a directory`);
    const child = newDir(joinPath(dir.path, name), node);
    dir.children.set(name, child);
    return child;
  }

  leave(): void {
    // Handles hold no resources.
  }

  open(dir: ContextDir, name: ByteString, node: TreeNode): number {
    const path = joinPath(dir.path, name);
    let fd: number;
    try {
      fd = openSync(toFsPath(this.#absolute(path)), OPEN_FILE);
    } catch (error) {
      throw readError(error, path);
    }
    try {
      this.#verify(fd, dir, name, node);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  }

  close(fd: number, dir: ContextDir, name: ByteString, node: TreeNode): void {
    try {
      this.#verify(fd, dir, name, node);
    } finally {
      closeSync(fd);
    }
  }

  xattrs(dir: ContextDir, name: ByteString, node: TreeNode): readonly Xattr[] {
    if (node.type !== 'file' || !this.hasXattrs) return [];
    const fd = this.open(dir, name, node);
    try {
      return readXattrs(fd);
    } finally {
      closeSync(fd);
    }
  }

  openXattrs(fd: number): readonly Xattr[] {
    return this.hasXattrs ? readXattrs(fd) : [];
  }

  /** Identity of a file's content and extended attributes, from the stat cache if it is there. */
  contentDigest(dir: ContextDir, name: ByteString, node: ContextNode): Digest {
    if (node.digest !== undefined) return node.digest;
    const stored = this.#options.stats?.get(joinPath(dir.path, name), node.stat);
    const digest = stored ?? this.#hash(dir, name, node);
    if (stored) node.digest = stored;
    else this.learn(dir, name, node, digest);
    return digest;
  }

  /** Takes a digest that somebody else computed of exactly this state of the file. */
  learn(dir: ContextDir, name: ByteString, node: ContextNode, digest: Digest): void {
    if (node.digest !== undefined) return;
    node.digest = inOnePiece(digest);
    this.#options.stats?.put(joinPath(dir.path, name), node.stat, digest);
  }

  learnContent(dir: ContextDir, name: ByteString, node: TreeNode, content: Digest, xattrs: readonly Xattr[]): void {
    this.learn(dir, name, node as ContextNode, contentIdentity(content, xattrs));
  }

  /** Whether the digest of a file is known, so that it need not be read. */
  isHashed(dir: ContextDir, name: ByteString, node: ContextNode): boolean {
    return node.digest !== undefined || this.#options.stats?.get(joinPath(dir.path, name), node.stat) !== undefined;
  }

  /** Finds out digests that will be asked for, of small files many at a time; what it cannot do is left to `contentDigest`. */
  hashAhead(files: readonly { readonly dir: ContextDir; readonly name: ByteString; readonly node: TreeNode }[]): void {
    const unknown = files.flatMap(({ dir, name, node }) => {
      const own = node as ContextNode;
      if (own.type !== 'file' || own.size > SMALL || own.digest !== undefined) return [];
      const path = joinPath(dir.path, name);
      own.digest = this.#options.stats?.get(path, own.stat);
      return own.digest === undefined ? [{ dir, name, node: own, stat: own.stat, path: this.#absolute(path) }] : [];
    });
    if (unknown.length < 2) return;
    for (const [at, digest] of hashTogether(unknown).entries()) {
      const file = unknown[at];
      if (file !== undefined && digest !== undefined) this.learn(file.dir, file.name, file.node, digest);
    }
  }

  #hash(dir: ContextDir, name: ByteString, node: ContextNode): Digest {
    const fd = this.open(dir, name, node);
    let closed = false;
    try {
      const content = hashFile(fd, node.size);
      const xattrs = this.openXattrs(fd);
      closed = true;
      this.close(fd, dir, name, node);
      return contentIdentity(content, xattrs);
    } finally {
      if (!closed) closeSync(fd);
    }
  }

  #absolute(path: ByteString): ByteString {
    return path === '' ? this.rootPath : `${this.rootPath === '/' ? '' : this.rootPath}/${path}`;
  }

  #verify(fd: number, dir: ContextDir, name: ByteString, node: TreeNode): void {
    if (!isStill(fd, (node as ContextNode).stat, this.#xattrs === true)) throw changed(joinPath(dir.path, name));
  }

  #openDirectory(path: ByteString, node: ContextNode): number {
    let fd: number;
    try {
      fd = openSync(toFsPath(this.#absolute(path)), OPEN_DIRECTORY);
    } catch (error) {
      throw readError(error, path);
    }
    if (!sameInode(toHostStat(fstatSync(fd, { bigint: true })), node.stat)) {
      closeSync(fd);
      throw changed(path);
    }
    return fd;
  }

  #load(dir: ContextDir): ReadonlyMap<ByteString, ContextNode> {
    this.#touched?.add(dir);
    if (dir.nodes) return dir.nodes;
    if (this.#frozen) {
      throw new TsbuildError(
        'TSB_INTERNAL',
        `Cannot read "${toText(dir.path)}" of the build context: it was not sent along`,
      );
    }
    const nodes = new Map<ByteString, ContextNode>();
    const fd = this.#openDirectory(dir.path, dir.node);
    try {
      const names = readdirSync(`/proc/self/fd/${fd}`, 'latin1').sort(compareBytes);
      const states = lookUp(fd, names);
      for (const [row, name] of names.entries()) {
        const found = getState(states, row);
        if (found) nodes.set(name, toNode(found, linkTarget(fd, name, found), this.#given(dir, name, found)));
      }
    } catch (error) {
      throw readError(error, dir.path);
    } finally {
      closeSync(fd);
    }
    dir.nodes = nodes;
    if (this.#options.ignore) this.#dropIgnored(dir, nodes, this.#options.ignore);
    dir.names = [...nodes.keys()];
    return nodes;
  }

  #given(dir: ContextDir, name: ByteString, { mode }: HostStat): GivenAttributes | undefined {
    const { modes } = this.#options;
    if (!modes) return undefined;
    const path = joinPath(dir.path, name);
    const type = nodeType(mode);
    const hasMode = type === 'file' || type === 'directory';
    return { mode: hasMode ? modes.modeOf(path, mode, type === 'directory') : undefined, mtime: modes.timeOf(path) };
  }

  /** An ignored directory stays when something in it is let in again, for the sake of that. */
  #dropIgnored(dir: ContextDir, nodes: Map<ByteString, ContextNode>, ignore: ContextIgnore): void {
    for (const [name, node] of nodes) {
      const isDir = node.type === 'directory';
      const path = toText(joinPath(dir.path, name));
      const { ignored, info } = ignore.ignored(path, isDir, dir.ignoreInfo);
      if (isDir && (!ignored || !ignore.canSkipDir(path))) {
        const child = newDir(joinPath(dir.path, name), node);
        child.ignoreInfo = info;
        dir.children.set(name, child);
        if (!ignored || this.list(child).length > 0) continue;
        dir.dropped.push(child);
      } else if (!ignored) continue;
      dir.ignored.push(name);
      nodes.delete(name);
      dir.children.delete(name);
    }
  }
}

/**
 * The same text as one piece of memory. V8 keeps a text that was put together as its parts until somebody looks into it, and looking
 * into digests comes late: by then all the parts would be there beside the wholes.
 */
function inOnePiece(digest: Digest): Digest {
  if (!digest.startsWith('sha256:')) throw new TypeError('Not a digest');
  return digest;
}

function linkTarget(dirfd: number, name: ByteString, { mode }: HostStat): ByteString {
  return nodeType(mode) === 'symlink' ? readlinkSync(toFsPath(`/proc/self/fd/${dirfd}/${name}`), 'latin1') : '';
}

/** A directory of which nothing has been read yet. */
export function newDir(path: ByteString, node: ContextNode): ContextDir {
  return {
    path,
    node,
    children: new Map(),
    nodes: undefined,
    names: [],
    dropped: [],
    ignoreInfo: undefined,
    ignored: [],
    asked: new Set(),
    listed: false,
  };
}

function changed(path: ByteString, cause?: unknown): TsbuildError {
  return new TsbuildError('TSB_CHANGED', `Cannot use "${toText(path)}" of the build context: it changed during build`, {
    hint: 'run the build again while nothing writes to the build context, or exclude the path in .dockerignore',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What the kernel says when something is no longer of the kind that it was; EINVAL is readlink(2)'s way. */
const CHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO']);

function readError(error: unknown, path: ByteString): TsbuildError {
  const errno = errnoOf(error);
  if (errno !== undefined && CHANGED.has(errno)) return changed(path, error);
  return fromErrno(error, `Cannot read "${toText(path) || '.'}" of the build context`, 'TSB_CONTEXT', {
    hint: 'exclude it in .dockerignore, or make it readable',
  });
}
