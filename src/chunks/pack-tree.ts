import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openat,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../sys/index.ts';
import { type ByteString, readFull, toFsPath } from '../tree/index.ts';
import { type Digest, errnoOf, sha256 } from '../util/index.ts';
import { encodeTree } from './encode-tree.ts';
import { Memory, writeMemory } from './memory.ts';
import { PACK_LENGTH, PackWriter, type WrittenPack } from './pack-writer.ts';
import { loadPrint } from './prints.ts';
import { type Scan, scan } from './scan.ts';
import type { Chunk, ChunkTree, Pack, TreeEntry, TreeLimits } from './tree.ts';

/** A directory to be sent. */
export interface PackTreeOptions {
  readonly dir: string;
  /** Where what is remembered of it is, and is written. */
  readonly memory: string;
  /** An empty directory that gets the files to be sent. */
  readonly into: string;
  /** What is there already, of which nothing is sent again. */
  readonly base?: ChunkTree;
  readonly limits: TreeLimits;
  readonly idShift: number;
  readonly idCount: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** What is to be sent so that a directory is there. */
export interface PackedTree {
  readonly tree: { readonly path: string; readonly digest: Digest; readonly size: number };
  /** Packs that have to be made; and those that are there and are needed. */
  readonly made: readonly WrittenPack[];
  readonly kept: readonly Pack[];
  /** All names but those of directories. */
  readonly files: number;
  /** Bytes of all files, and of content that is not in packs that are kept. */
  readonly bytes: number;
  readonly newBytes: number;
  /** Names that do not travel: devices, sockets, pipes. */
  readonly skipped: number;
  /** Files that are left out because somebody wrote them all the time. */
  readonly changing: number;
}

/** Packs that a tree may stand on besides one for each 32 MiB: each build adds one, and each is a request for whoever reads them. */
const SPARE_PACKS = 24;

/**
 * Makes a directory's tree, and packs of all content that is not in a pack of what is there. Packs more than half of which nobody needs any
 * more are left behind with what is still needed of them packed anew, and so are the smallest where there are many.
 * @throws TsbuildError `TSB_EXPORT` when it is more than may travel
 */
export async function packTree(options: PackTreeOptions): Promise<PackedTree> {
  const { dir, memory, into, base, signal } = options;
  const print = await loadPrint();
  const rootFd = openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const found = scan({ ...options, rootFd, print, memory: Memory.read(memory) });
    const needed = new Set(found.entries.flatMap(({ content = [] }) => content.map(({ digest }) => digest)));
    const kept = base === undefined ? [] : packsToKeep(base, needed);
    const table = new ChunkTable(base, kept);
    const writer = new PackWriter(into, kept.length);
    const unread = collect(found, rootFd, table, writer, signal);
    writer.finish();
    const entries = found.entries.filter(({ entry }) => !unread.has(entry.path));
    const tree: ChunkTree = {
      packs: [...kept.map(({ pack }) => pack), ...writer.packs],
      chunks: table.chunks,
      entries: entries.map(({ entry, content }): TreeEntry =>
        content ? { ...entry, chunks: content.map(({ digest }) => table.number(digest)) } : entry,
      ),
    };
    const bytes = encodeTree(tree);
    const path = join(into, 'tree');
    writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
    writeMemory(memory, found.files);
    return {
      tree: { path, digest: sha256(bytes), size: bytes.length },
      made: writer.packs,
      kept: kept.map(({ pack }) => pack),
      files: entries.filter(({ entry }) => entry.type !== 'directory').length,
      bytes: found.bytes,
      newBytes: writer.packs.reduce((sum, { length }) => sum + length, 0),
      skipped: found.skipped,
      changing: found.changing + unread.size,
    };
  } finally {
    close(rootFd);
  }
}

/** A pack of what is there, with its number in that tree. */
interface KeptPack {
  readonly pack: Pack;
  readonly number: number;
}

function packsToKeep({ packs, chunks }: ChunkTree, needed: ReadonlySet<Digest>): readonly KeptPack[] {
  const live = packs.map(() => 0);
  for (const { digest, pack, length } of chunks) if (needed.has(digest)) live[pack] = (live[pack] ?? 0) + length;
  const worth = packs
    .map((pack, number) => ({ pack, number, live: live[number] ?? 0 }))
    .filter((one) => one.live * 2 >= one.pack.length && one.live > 0);
  const total = worth.reduce((sum, one) => sum + one.live, 0);
  const most = SPARE_PACKS + Math.ceil(total / PACK_LENGTH);
  if (worth.length <= most) return worth;
  // Half of them at once, or the next build would have to do it again.
  const largest = worth.toSorted((a, b) => b.live - a.live).slice(0, Math.ceil(most / 2));
  return largest.toSorted((a, b) => a.number - b.number);
}

/** The chunks of the tree that is made. */
class ChunkTable {
  readonly chunks: Chunk[] = [];
  readonly #numbers = new Map<Digest, number>();
  /** Chunks of packs that are kept, with the new numbers of these. */
  readonly #there = new Map<Digest, Chunk>();

  constructor(base: ChunkTree | undefined, kept: readonly KeptPack[]) {
    const numbers = new Map(kept.map(({ number }, index) => [number, index]));
    for (const chunk of base?.chunks ?? []) {
      const pack = numbers.get(chunk.pack);
      if (pack !== undefined) this.#there.set(chunk.digest, { ...chunk, pack });
    }
  }

  /** Whether a chunk is in the tree, or can be because a pack that is kept has it. */
  has(digest: Digest): boolean {
    if (this.#numbers.has(digest)) return true;
    const there = this.#there.get(digest);
    if (there !== undefined) this.add(there);
    return there !== undefined;
  }

  add(chunk: Chunk): void {
    this.#numbers.set(chunk.digest, this.chunks.length);
    this.chunks.push(chunk);
  }

  number(digest: Digest): number {
    const number = this.#numbers.get(digest);
    if (number === undefined) throw new Error(`no chunk ${digest}`);
    return number;
  }
}

/**
 * Reads what is nowhere yet into packs.
 * @returns paths of files that are not any more what they were when they were looked at
 */
function collect(
  { entries }: Scan,
  rootFd: number,
  table: ChunkTable,
  writer: PackWriter,
  signal: AbortSignal,
): ReadonlySet<ByteString> {
  const unread = new Set<ByteString>();
  for (const { entry, content = [] } of entries) {
    signal.throwIfAborted();
    if (content.every(({ digest }) => table.has(digest))) continue;
    const fd = openBeneath(rootFd, entry.path);
    try {
      let offset = 0;
      for (const { digest, length } of content) {
        if (!table.has(digest)) {
          const bytes = Buffer.allocUnsafe(length);
          if (fd === undefined || readFull(fd, bytes, offset) < length || sha256(bytes) !== digest) {
            unread.add(entry.path);
            break;
          }
          table.add({ digest, length, ...writer.add(bytes) });
        }
        offset += length;
      }
    } finally {
      if (fd !== undefined) close(fd);
    }
  }
  return unread;
}

function openBeneath(rootFd: number, path: ByteString): number | undefined {
  try {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    return openat2(rootFd, toFsPath(path), { flags, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
