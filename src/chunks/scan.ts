import {
  close,
  type FileStat,
  fstat,
  isInState,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openat,
  readlinkat,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../sys/index.ts';
import { type ByteString, fromBytes, isOldEnough, readFull, toFsPath } from '../tree/index.ts';
import { errnoOf, formatBytes, sha256, TsbuildError } from '../util/index.ts';
import { CHUNK_BYTES, cut } from './cut.ts';
import { identityOf, type KnownChunk, type KnownFile, type Memory } from './memory.ts';
import type { Print } from './prints.ts';
import { MAX_SECONDS, travelingMode, type TreeEntry, type TreeLimits } from './tree.ts';
import { walk, type Walked } from './walk.ts';

/** How a directory is looked at. */
export interface ScanOptions {
  readonly rootFd: number;
  readonly memory: Memory;
  readonly print: Print;
  readonly limits: TreeLimits;
  /** What owners on disk have more than those that travel. */
  readonly idShift: number;
  readonly idCount: number;
  /** When the look began, in milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** A name in the directory; files with what they have. */
export interface ScannedEntry {
  readonly entry: Omit<TreeEntry, 'chunks'>;
  readonly content?: readonly KnownChunk[];
}

/** What a directory was when it was looked at. */
export interface Scan {
  readonly entries: readonly ScannedEntry[];
  /** For the next look. */
  readonly files: ReadonlyMap<ByteString, KnownFile>;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Names that do not travel: devices, sockets, pipes. */
  readonly skipped: number;
  /** Files that somebody wrote all the time. */
  readonly changing: number;
}

/** Times that a file is read again because it was written to meanwhile. */
const TRIES = 3;
const BUFFER = 4 << 20;

/**
 * Looks at everything in a directory. Files that did not change since the last look are not opened; of others, content that looks
 * as it did keeps its name without being hashed again. Each file is taken as it was at one moment, or not at all.
 * @throws TsbuildError `TSB_EXPORT` when it is more than may travel
 */
export function scan(options: ScanOptions): Scan {
  return new Scanner(options).run();
}

class Scanner {
  readonly #options: ScanOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER);
  readonly #entries: ScannedEntry[] = [];
  readonly #files = new Map<ByteString, KnownFile>();
  #bytes = 0;
  #skipped = 0;
  #changing = 0;

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  run(): Scan {
    const { rootFd, limits, signal } = this.#options;
    for (const walked of walk(rootFd)) {
      signal.throwIfAborted();
      this.#take(walked);
      if (this.#entries.length > limits.entries) throw tooMuch(`more than ${limits.entries} files and directories`);
    }
    return {
      entries: this.#entries,
      files: this.#files,
      bytes: this.#bytes,
      skipped: this.#skipped,
      changing: this.#changing,
    };
  }

  #take(walked: Walked): void {
    const { path, stat, dirfd, name } = walked;
    const { limits } = this.#options;
    switch (stat.mode & S_IFMT) {
      case S_IFDIR:
        this.#entries.push({ entry: this.#entry(walked, 'directory') });
        return;
      case S_IFLNK: {
        const target = linkTarget(dirfd, name);
        if (target !== undefined) this.#entries.push({ entry: { ...this.#entry(walked, 'symlink'), target } });
        return;
      }
      case S_IFREG: {
        // Before it is read: a sparse file may be said to have anything.
        if (this.#bytes + stat.size > limits.bytes) throw tooMuch(`more than ${formatBytes(limits.bytes)}`);
        const unchanged = this.#options.memory.unchanged(path, stat);
        const read = unchanged === undefined ? this.#read(walked) : { stat, content: unchanged };
        if (read !== undefined) this.#file({ ...walked, stat: read.stat }, read.content);
        return;
      }
      default:
        this.#skipped++;
    }
  }

  #file(walked: Walked, content: readonly KnownChunk[]): void {
    const { path, stat } = walked;
    this.#bytes += stat.size;
    this.#entries.push({ entry: this.#entry(walked, 'file'), content });
    const identity = isOldEnough(stat, this.#options.now) ? identityOf(stat) : '';
    this.#files.set(path, { identity, chunks: content });
  }

  #entry({ path, stat }: Walked, type: TreeEntry['type']): Omit<TreeEntry, 'chunks'> {
    const { idShift, idCount } = this.#options;
    // What does not belong to anybody in a step is its root's.
    const traveling = (id: number): number => (id >= idShift && id - idShift < idCount ? id - idShift : 0);
    return {
      path,
      type,
      mode: travelingMode(type, stat.mode),
      uid: traveling(stat.uid),
      gid: traveling(stat.gid),
      // Some file systems take any time that is asked for.
      mtime: { sec: Math.min(Math.max(stat.mtimeSec, -MAX_SECONDS), MAX_SECONDS), nsec: stat.mtimeNsec },
    };
  }

  /** The content of a file at one moment; undefined when there is no such moment. */
  #read({ dirfd, name }: Walked): { readonly stat: FileStat; readonly content: readonly KnownChunk[] } | undefined {
    for (let tries = 0; tries < TRIES; tries++) {
      let fd: number;
      try {
        // Not to wait for a pipe that has taken the file's place.
        fd = openat(dirfd, toFsPath(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      } catch (error) {
        if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
        throw error;
      }
      try {
        const stat = fstat(fd);
        if ((stat.mode & S_IFMT) !== S_IFREG) break;
        const content = [...this.#chunks(fd, stat.size)];
        const length = content.reduce((sum, chunk) => sum + chunk.length, 0);
        if (length === stat.size && isInState(fd, stat)) return { stat, content };
      } finally {
        close(fd);
      }
    }
    this.#changing++;
    return undefined;
  }

  *#chunks(fd: number, size: number): Generator<KnownChunk, void, undefined> {
    const buffer = this.#buffer;
    const { signal } = this.#options;
    let [start, end, position] = [0, 0, 0];
    for (;;) {
      // A cut needs to see as far as the longest chunk reaches, or the end.
      if (end - start < CHUNK_BYTES.most && position < size) {
        signal.throwIfAborted();
        buffer.copyWithin(0, start, end);
        [start, end] = [0, end - start];
        const count = readFull(fd, buffer.subarray(end, Math.min(BUFFER, end + size - position)), position);
        position = count === 0 ? size : position + count;
        end += count;
      }
      if (start === end) return;
      const next = cut(buffer, start, end);
      yield this.#known(buffer.subarray(start, next));
      start = next;
    }
  }

  #known(bytes: Uint8Array): KnownChunk {
    const print = this.#options.print(bytes);
    return this.#options.memory.similar(print) ?? { digest: sha256(bytes), length: bytes.length, print };
  }
}

function linkTarget(dirfd: number, name: ByteString): ByteString | undefined {
  try {
    return fromBytes(readlinkat(dirfd, toFsPath(name)));
  } catch {
    // It is none any more.
    return undefined;
  }
}

function tooMuch(what: string): TsbuildError {
  return new TsbuildError('TSB_EXPORT', `it has ${what}`, {
    hint: 'mounts-max-size=SIZE of --cache-to allows more, tsbuild cache mounts rm ID empties it',
  });
}
