import {
  AT_FDCWD,
  close,
  fdPath,
  type FileStat,
  fstat,
  inodeKey,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openat,
  readlinkat,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  statat,
} from '../sys/index.ts';
import {
  type ByteString,
  closeMerged,
  fileAt,
  findMerged,
  isDir,
  isOpaque,
  isUnchanged,
  isWhiteout,
  listDir,
  listMerged,
  type MergedDir,
  openDirAt,
  openMerged,
  toFsPath,
} from '../tree/index.ts';
import { fromErrno, TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import type { Stubs } from './stubs.ts';
import type { EntryType } from './entry.ts';
import type { EncodedLayer } from './layer-encoder.ts';
import { LowerRoots } from './lower-roots.ts';
import type { LayerCompression, LayerSink } from './sink.ts';
import { layerPath, WHITEOUT } from './whiteout.ts';
import { LayerWriter } from './write-layer.ts';
import { readLayerXattrs } from './xattrs.ts';

/** What is compared, and where the tar goes. */
export interface DiffOptions {
  /** An overlay upper directory. */
  readonly upper: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  /** Taken off every owner. */
  readonly idShift: number;
  readonly compression: LayerCompression;
  readonly sink: LayerSink;
  /** Times after this many seconds since the epoch become it (SOURCE_DATE_EPOCH). */
  readonly clampTime?: number | undefined;
  /** Earlier ones become it too, after this many seconds since the epoch. Default: `clampTime`. */
  readonly clampAfter?: number | undefined;
  /** Write the form that layers of Windows images have. Windows does not know opaque directories: each name gets a whiteout. */
  readonly windows?: boolean;
  /** What was made for mounts, and is left out. */
  readonly stubs?: Stubs;
  readonly signal?: AbortSignal;
}

const TYPES: Readonly<Record<number, EntryType>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'symlink',
  [S_IFCHR]: 'char',
  [S_IFBLK]: 'block',
  [S_IFIFO]: 'fifo',
};

/** A directory of the upper tree with what is below it. */
interface UpperDir {
  readonly fd: number;
  /** Empty for a directory that is marked as opaque in the archive. */
  readonly lowers: MergedDir;
  /** Hides a directory of the layers below. */
  readonly opaque: boolean;
  /** All names below that it does not have itself are deleted ones. */
  readonly hides: boolean;
  /** In the archive, with a slash at the end; empty for the root. */
  readonly prefix: ByteString;
}

/**
 * Writes what an overlay upper directory changes as a layer blob: deleted names as `.wh.` entries, only where the layers
 * below have them; opaque directories only where there is something to hide (the kernel marks every new directory in
 * a merged one); files that were copied up and not changed left out; hard links by inode; sockets left out. Entries are
 * in the order of their path bytes, whiteouts first in their directory. Memory does not grow with the tree, but for
 * the names of the directories on the way and of hard links.
 * @throws TsbuildError `TSB_CHANGED` when files change meanwhile, `TSB_EXPORT` for a name that a layer cannot hold
 */
export async function diffLayer(options: DiffOptions): Promise<EncodedLayer> {
  const upper = openat(AT_FDCWD, options.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const archive = new LayerWriter(options.sink, options);
  try {
    using lowers = new LowerRoots(options.lowers);
    await new DiffWalk(archive, options).walk(rootDir(upper, lowers, options));
  } catch (error) {
    archive.abort();
    throw error;
  } finally {
    close(upper);
  }
  return archive.finish();
}

class DiffWalk {
  readonly #archive: LayerWriter;
  readonly #options: DiffOptions;
  /** First path of every inode with more than one name. */
  readonly #links = new Map<string, ByteString>();
  /** Whether a directory that is itself unchanged has changes in it; filled by looking ahead. */
  readonly #changed = new Map<ByteString, boolean>();

  constructor(archive: LayerWriter, options: DiffOptions) {
    this.#archive = archive;
    this.#options = options;
  }

  async walk(dir: UpperDir): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const { whiteouts, items } = readUpper(dir);
    for (const name of whiteouts) await this.#add({ path: `${dir.prefix}${WHITEOUT}${name}`, type: 'file' });
    for (const item of items) {
      // "name/" stands for what is in a directory: it sorts behind "name-x", as paths do.
      if (item.endsWith('/')) await this.#enter(dir, item.slice(0, -1));
      else await this.#item(dir, item);
    }
  }

  async #enter(dir: UpperDir, name: ByteString): Promise<void> {
    const path = `${dir.prefix}${name}`;
    if (this.#changed.get(path) === false) return;
    const child = this.#open(dir, name);
    try {
      await this.walk(child);
    } finally {
      closeUpperDir(child);
    }
  }

  #open(dir: UpperDir, name: ByteString): UpperDir {
    return openUpperDir(dir, name, this.#options.windows === true);
  }

  async #item(dir: UpperDir, name: ByteString): Promise<void> {
    const stat = statat(dir.fd, toFsPath(name));
    const type = TYPES[stat.mode & S_IFMT];
    // Sockets mean nothing without their process.
    if (type === undefined || this.#isStub(dir, name, stat)) return;
    const path = layerPath(dir.prefix.slice(0, -1), name);
    if (type === 'directory') {
      if (this.#isUnchangedDir(dir, name, stat, path)) return;
    } else if (stat.nlink > 1) {
      const key = inodeKey(stat);
      const first = this.#links.get(key);
      if (first !== undefined) return this.#add({ path, type: 'hardlink', linkPath: first, ...this.#attributes(stat) });
      this.#links.set(key, path);
    } else if (this.#isUnchanged(dir, name, stat)) return;
    await this.#write(dir, name, path, type, stat);
  }

  #isStub(dir: UpperDir, name: ByteString, stat: FileStat): boolean {
    const { stubs } = this.#options;
    if (stubs === undefined || findMerged(dir.lowers, name) !== undefined) return false;
    return stubs.has(dir.fd, name, `${dir.prefix}${name}`, stat);
  }

  /** Whether a directory was only copied up and has no change in it; what is found out about it is remembered. */
  #isUnchangedDir(dir: UpperDir, name: ByteString, stat: FileStat, path: ByteString): boolean {
    const known = this.#changed.get(path);
    if (known !== undefined) return !known;
    if (!this.#isUnchanged(dir, name, stat)) return false;
    const child = this.#open(dir, name);
    try {
      const changed = this.#hasChanges(child);
      this.#changed.set(path, changed);
      return !changed;
    } finally {
      closeUpperDir(child);
    }
  }

  /** Whether a name is the same below; of a directory, the directory itself. */
  #isUnchanged(dir: UpperDir, name: ByteString, stat: FileStat): boolean {
    const { idShift } = this.#options;
    const below = findMerged(dir.lowers, name);
    return (
      below !== undefined && isUnchanged(fileAt({ dirfd: dir.fd, stat }, name, idShift), fileAt(below, name, idShift))
    );
  }

  #hasChanges(dir: UpperDir): boolean {
    const { whiteouts, items } = readUpper(dir);
    if (whiteouts.length > 0) return true;
    for (const name of items) {
      if (name.endsWith('/')) continue;
      const stat = statat(dir.fd, toFsPath(name));
      const type = TYPES[stat.mode & S_IFMT];
      if (type === undefined || this.#isStub(dir, name, stat)) continue;
      const unchanged =
        type === 'directory'
          ? this.#isUnchangedDir(dir, name, stat, `${dir.prefix}${name}`)
          : stat.nlink === 1 && this.#isUnchanged(dir, name, stat);
      if (!unchanged) return true;
    }
    return false;
  }

  async #write(dir: UpperDir, name: ByteString, path: ByteString, type: EntryType, stat: FileStat): Promise<void> {
    const { idShift } = this.#options;
    const base = { path, type, ...this.#attributes(stat) };
    switch (type) {
      case 'file':
      case 'directory': {
        const fd = openContent(dir, name, path);
        try {
          const now = fstat(fd);
          if (inodeKey(now) !== inodeKey(stat) || now.size !== stat.size)
            throw new TsbuildError(
              'TSB_CHANGED',
              `Cannot store ${quote(path)} in a layer: it changed while it was read`,
            );
          const xattrs = readLayerXattrs(fd, idShift);
          await this.#add({ ...base, size: type === 'file' ? stat.size : 0, xattrs, content: { fd } });
        } finally {
          close(fd);
        }
        return;
      }
      case 'symlink':
        return this.#add({ ...base, linkPath: readlinkat(dir.fd, toFsPath(name)).toString('latin1') });
      default: {
        const { rdevMajor: devMajor, rdevMinor: devMinor } = stat;
        const xattrs = readLayerXattrs(fdPath(dir.fd, toFsPath(name)), idShift);
        return this.#add({ ...base, devMajor, devMinor, xattrs });
      }
    }
  }

  #attributes(stat: FileStat): { mode: number; uid: number; gid: number; mtime: { sec: number } } {
    const { idShift } = this.#options;
    // Ids outside of the image's range, of a file from elsewhere, become root.
    const own = (id: number): number => (id >= idShift ? id - idShift : 0);
    return { mode: stat.mode & 0o7777, uid: own(stat.uid), gid: own(stat.gid), mtime: { sec: stat.mtimeSec } };
  }

  async #add(entry: Parameters<LayerWriter['add']>[0]): Promise<void> {
    if (!this.#archive.add(entry)) await this.#archive.rest();
  }
}

const OPAQUE_MARKER = '.wh..opq';

/**
 * The names of a directory in archive order: those that are deleted below it, without their prefix, the opaque marker
 * first; and the others, a directory twice, the second time with a slash.
 */
function readUpper(dir: UpperDir): {
  readonly whiteouts: readonly ByteString[];
  readonly items: readonly ByteString[];
} {
  const whiteouts: ByteString[] = [];
  const items: ByteString[] = [];
  for (const name of listDir(dir.fd)) {
    const stat = statat(dir.fd, toFsPath(name));
    if (isWhiteout(stat, dir.fd, name)) {
      if (findMerged(dir.lowers, name)) whiteouts.push(name);
      continue;
    }
    items.push(name);
    if (isDir(stat)) items.push(`${name}/`);
  }
  if (dir.hides) {
    const known = new Set([...items, ...whiteouts]);
    for (const name of listMerged(dir.lowers)) if (!known.has(name)) whiteouts.push(name);
  }
  whiteouts.sort();
  if (dir.opaque) whiteouts.unshift(OPAQUE_MARKER);
  return { whiteouts, items: items.sort() };
}

/** The layers below are opened when one of them is looked into: for most steps that change nothing, none of hundreds is. */
function rootDir(fd: number, roots: LowerRoots, { lowers, windows = false }: DiffOptions): UpperDir {
  const hidesOwn = lowers.length > 0 && isOpaque(fd);
  const opaque = hidesOwn && !windows;
  return {
    fd,
    get lowers() {
      return opaque ? [] : roots.all();
    },
    opaque,
    hides: hidesOwn && windows,
    prefix: '',
  };
}

/** @param hides whether everything below is hidden already, with names of its own */
function upperDir(fd: number, lowers: MergedDir, prefix: ByteString, hides: boolean, windows: boolean): UpperDir {
  const hidesOwn = hides || (lowers.length > 0 && isOpaque(fd));
  return windows || !hidesOwn
    ? { fd, lowers, opaque: false, hides: hidesOwn, prefix }
    : { fd, lowers: [], opaque: true, hides: false, prefix };
}

function openUpperDir(parent: UpperDir, name: ByteString, windows: boolean): UpperDir {
  const fd = openDirAt(parent.fd, name);
  try {
    const lowers = openMerged(parent.lowers, name);
    const dir = upperDir(fd, lowers, `${parent.prefix}${name}/`, parent.hides, windows);
    if (dir.opaque) closeMerged(lowers);
    return dir;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function closeUpperDir(dir: UpperDir): void {
  close(dir.fd);
  closeMerged(dir.lowers);
}

function openContent(dir: UpperDir, name: ByteString, path: ByteString): number {
  try {
    return openat(dir.fd, toFsPath(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    throw fromErrno(error, `Cannot store ${quote(path)} in a layer`, 'TSB_CHANGED');
  }
}
