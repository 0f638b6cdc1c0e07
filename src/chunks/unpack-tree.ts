import { closeSync, fchmodSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { Extractor, type TarEntry } from '../layer/index.ts';
import {
  AT_FDCWD,
  close,
  fchown,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openat,
  S_IFMT,
  S_IFREG,
  utimensat,
} from '../sys/index.ts';
import { type ByteString, isOldEnough, readFull, toText } from '../tree/index.ts';
import { type Digest, sha256, TsbuildError } from '../util/index.ts';
import { identityOf, type KnownChunk, type KnownFile, writeMemory } from './memory.ts';
import { loadPrint, type Print } from './prints.ts';
import type { Chunk, ChunkTree, Pack, TreeEntry } from './tree.ts';
import { walk } from './walk.ts';

/** A tree to be written to a directory. */
export interface UnpackTreeOptions {
  readonly tree: ChunkTree;
  /** Where packs are, by digest. */
  readonly packs: ReadonlyMap<Digest, string>;
  /** An empty directory. */
  readonly dir: string;
  /** Where to remember what was written. */
  readonly memory: string;
  /** A directory for what is needed meanwhile. */
  readonly work: string;
  readonly idShift: number;
  readonly idCount: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
  /** Names the tree in messages. */
  readonly what: string;
}

/**
 * Writes a tree beneath a directory, by the writer that unpacks layers: one name at a time beneath descriptors, through no symlink. Each
 * chunk is held against its digest.
 * @throws TsbuildError `TSB_DIGEST` for content that is not what the tree says, `TSB_ARCHIVE` for owners that cannot be stored, `TSB_NO_SPACE`
 */
export async function unpackTree(
  options: UnpackTreeOptions,
): Promise<{ readonly bytes: number; readonly inodes: number }> {
  const { tree, dir, idShift, idCount, signal, memory } = options;
  const print = await loadPrint();
  const started = performance.now();
  const rootFd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const contents = new PackContents(options);
  const extractor = new Extractor({ rootFd, layer: false, idShift, idCount });
  try {
    const known = new Map<number, KnownChunk>();
    const files = new Map<ByteString, readonly KnownChunk[]>();
    for (const entry of tree.entries) {
      signal.throwIfAborted();
      if (entry.path === '') continue;
      const chunks = (entry.chunks ?? []).map((number) => ({ number, chunk: chunkOf(tree, number) }));
      const written = archiveEntry(
        entry,
        chunks.reduce((sum, { chunk }) => sum + chunk.length, 0),
      );
      extractor.entry(written);
      let offset = 0;
      for (const { number, chunk } of chunks) {
        const bytes = contents.read(chunk);
        extractor.data(bytes, offset);
        offset += chunk.length;
        if (!known.has(number)) known.set(number, knownChunk(chunk, bytes, print));
      }
      extractor.end(written);
      const own = chunks.map(({ number }) => known.get(number)).filter((chunk) => chunk !== undefined);
      if (entry.type === 'file') files.set(entry.path, own);
    }
    extractor.finish();
    asRoot(rootFd, tree.entries[0], idShift, idCount);
    // By the same clock that the files were stamped by.
    writeMemory(memory, remembered(rootFd, files, options.now + performance.now() - started));
    return { bytes: extractor.bytes, inodes: extractor.inodes };
  } finally {
    extractor.dispose();
    contents[Symbol.dispose]();
    close(rootFd);
  }
}

function chunkOf({ chunks }: ChunkTree, number: number): Chunk {
  const chunk = chunks[number];
  if (chunk === undefined) throw new TsbuildError('TSB_INTERNAL', `A tree has no chunk ${number}`);
  return chunk;
}

function knownChunk({ digest, length }: Chunk, bytes: Buffer, print: Print): KnownChunk {
  return { digest, length, print: print(bytes) };
}

/** As the writer of layers takes it. */
function archiveEntry({ path, type, mode, uid, gid, mtime, target = '' }: TreeEntry, size: number): TarEntry {
  return { path, type, mode, uid, gid, size, mtime, linkPath: target, devMajor: 0, devMinor: 0 };
}

/** The directory itself, which archives say nothing about. */
function asRoot(rootFd: number, entry: TreeEntry | undefined, idShift: number, idCount: number): void {
  if (entry === undefined || entry.uid >= idCount || entry.gid >= idCount) return;
  fchown(rootFd, entry.uid + idShift, entry.gid + idShift);
  fchmodSync(rootFd, entry.mode);
  utimensat(rootFd, '.', entry.mtime, entry.mtime);
}

function remembered(
  rootFd: number,
  files: ReadonlyMap<ByteString, readonly KnownChunk[]>,
  now: number,
): ReadonlyMap<ByteString, KnownFile> {
  const known = new Map<ByteString, KnownFile>();
  for (const { path, stat } of walk(rootFd)) {
    const chunks = files.get(path);
    if (chunks === undefined || (stat.mode & S_IFMT) !== S_IFREG) continue;
    known.set(path, { identity: isOldEnough(stat, now) ? identityOf(stat) : '', chunks });
  }
  return known;
}

/** The content of packs, each decompressed once, when the first of its chunks is wanted, into one file that has no name. */
class PackContents implements Disposable {
  readonly #options: UnpackTreeOptions;
  readonly #starts = new Map<number, number>();
  readonly #fd: number;
  #end = 0;

  constructor(options: UnpackTreeOptions) {
    this.#options = options;
    const path = join(options.work, 'content');
    this.#fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
  }

  /** @throws TsbuildError `TSB_DIGEST` */
  read({ pack, offset, length, digest }: Chunk): Buffer {
    const start = this.#starts.get(pack) ?? this.#open(pack);
    const bytes = Buffer.allocUnsafe(length);
    if (readFull(this.#fd, bytes, start + offset) < length || sha256(bytes) !== digest)
      throw this.#damaged(`its content ${digest} is not what it is said to be`);
    return bytes;
  }

  #open(number: number): number {
    const pack = this.#options.tree.packs[number];
    const path = pack && this.#options.packs.get(pack.digest);
    if (pack === undefined || path === undefined) throw this.#damaged(`pack ${number} is missing`);
    const bytes = this.#decompress(pack, readFileSync(path));
    const start = this.#end;
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at, bytes.length - at, start + at);
    this.#starts.set(number, start);
    this.#end += bytes.length;
    return start;
  }

  /** What a few bytes are said to come to was looked at when the tree was read; more than that is never made. */
  #decompress({ digest, length }: Pack, packed: Buffer): Buffer {
    try {
      const bytes = zstdDecompressSync(packed, { maxOutputLength: Math.max(1, length) });
      if (bytes.length === length) return bytes;
    } catch (error) {
      throw this.#damaged(`pack ${digest} cannot be decompressed to ${length} bytes`, error);
    }
    throw this.#damaged(`pack ${digest} has not ${length} bytes`);
  }

  #damaged(why: string, cause?: unknown): TsbuildError {
    return new TsbuildError(
      'TSB_DIGEST',
      `Cannot use ${toText(this.#options.what)}: ${why}`,
      cause === undefined ? {} : { cause },
    );
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
