import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Guard, guardFor } from '../image/index.ts';
import type { ByteString } from '../tree/index.ts';
import { type Digest, hexOf, parseStrictJson, TsbuildError } from '../util/index.ts';
import { CHUNK_BYTES } from './cut.ts';
import {
  type Chunk,
  type ChunkTree,
  MAX_ENTRIES,
  MAX_PATH,
  MAX_SECONDS,
  type Pack,
  travelingMode,
  type TreeEntry,
  type TreeLimits,
} from './tree.ts';

/** Largest document of a tree, in bytes as it is kept and as it is read. */
const MAX_TREE_BYTES: number = 32 << 20;
const MAX_TREE_TEXT = 128 << 20;
/** Largest content of a pack, in bytes; what is written has a quarter of it. */
const MAX_PACK_LENGTH: number = 128 << 20;
const MAX_PACKS = 2000;
const MAX_CHUNKS = 1_000_000;
const MAX_NAME = 255;
const MAX_DEPTH = 500;
const HASH_BYTES = 32;
const LETTERS = { directory: 'd', file: 'f', symlink: 'l' } as const;

/**
 * A tree as it is kept: JSON, compressed. What there is much of stands in columns, which compress better than objects with names.
 * @throws TsbuildError `TSB_EXPORT` when it is larger than readers take
 */
export function encodeTree({ packs, chunks, entries }: ChunkTree): Buffer {
  const digests = Buffer.concat(chunks.map(({ digest }) => Buffer.from(hexOf(digest), 'hex')));
  const text = JSON.stringify({
    version: 1,
    packs: packs.map(({ digest, size, length }) => [digest, size, length]),
    chunks: {
      digests: digests.toString('base64'),
      lengths: chunks.map(({ length }) => length),
      packs: chunks.map(({ pack }) => pack),
      offsets: chunks.map(({ offset }) => offset),
    },
    entries: entries.map(({ path, type, mode, uid, gid, mtime, target, chunks: content }) => [
      path,
      LETTERS[type],
      mode,
      uid,
      gid,
      mtime.sec,
      mtime.nsec,
      target ?? content ?? 0,
    ]),
  });
  const bytes = zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  if (bytes.length > MAX_TREE_BYTES || text.length > MAX_TREE_TEXT / 2)
    throw new TsbuildError('TSB_EXPORT', `its list of ${entries.length} files is larger than readers take`);
  return bytes;
}

/**
 * Reads a tree, which anybody may have written: what it says is refused unless it is what `encodeTree` writes of an ordinary directory.
 * Names stay beneath the root and go through directories of the tree only.
 * @throws TsbuildError `TSB_IMAGE` naming the place in the document
 */
export function decodeTree(bytes: Uint8Array, what: string, limits: TreeLimits): ChunkTree {
  const guard = guardFor(what);
  if (bytes.length > MAX_TREE_BYTES) throw guard.fail('', 'is too large');
  let text: Buffer;
  try {
    text = zstdDecompressSync(bytes, { maxOutputLength: MAX_TREE_TEXT });
  } catch (error) {
    throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: it cannot be decompressed`, { cause: error });
  }
  const document = guard.object(parseStrictJson(text, { what, maxBytes: MAX_TREE_TEXT, maxDepth: 6 }), '');
  if (document['version'] !== 1) throw guard.fail('version', 'is not 1: a newer tsbuild wrote it');
  const packs = guard
    .list(document['packs'], 'packs', MAX_PACKS)
    .map((row, at) => decodePack(guard, row, `packs[${at}]`));
  // Half of a pack may be out of use, and what is in use is counted below. A few bytes can be said to be very many.
  if (packs.reduce((sum, { length }) => sum + length, 0) > limits.bytes * 2 + MAX_PACK_LENGTH)
    throw guard.fail('packs', `have more than twice the limit of ${limits.bytes} bytes`);
  const chunks = decodeChunks(guard, document['chunks'], packs);
  const entries = new Entries(guard, chunks, limits).decode(document['entries']);
  return { packs, chunks, entries };
}

function decodePack(guard: Guard, value: unknown, path: string): Pack {
  const [digest, size, length] = guard.list(value, path, 3);
  const descriptor = guard.descriptor({ mediaType: 'application/octet-stream', digest, size }, path);
  return {
    digest: descriptor.digest,
    size: descriptor.size,
    length: numberAt(guard, length, `${path}[2]`, MAX_PACK_LENGTH),
  };
}

function decodeChunks(guard: Guard, value: unknown, packs: readonly Pack[]): readonly Chunk[] {
  const columns = guard.object(value, 'chunks');
  const digests = Buffer.from(guard.string(columns['digests'], 'chunks.digests'), 'base64');
  const lengths = guard.list(columns['lengths'], 'chunks.lengths', MAX_CHUNKS);
  const numbers = guard.list(columns['packs'], 'chunks.packs', MAX_CHUNKS);
  const offsets = guard.list(columns['offsets'], 'chunks.offsets', MAX_CHUNKS);
  const isEven = [digests.length / HASH_BYTES, numbers.length, offsets.length].every(
    (count) => count === lengths.length,
  );
  if (!isEven) throw guard.fail('chunks', 'has columns of different lengths');
  return lengths.map((value, at) => {
    const path = `chunks[${at}]`;
    const length = numberAt(guard, value, path, CHUNK_BYTES.most);
    const pack = numberAt(guard, numbers[at], path, packs.length - 1);
    const offset = numberAt(guard, offsets[at], path, MAX_PACK_LENGTH);
    if (length === 0) throw guard.fail(path, 'is empty');
    if (offset + length > (packs[pack]?.length ?? 0)) throw guard.fail(path, 'is not within its pack');
    const digest: Digest = `sha256:${digests.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES)}`;
    return { digest, length, pack, offset };
  });
}

/** Reads entries in their order. */
class Entries {
  readonly #guard: Guard;
  readonly #chunks: readonly Chunk[];
  readonly #limits: TreeLimits;
  readonly #directories = new Set<ByteString>();
  #bytes = 0;

  constructor(guard: Guard, chunks: readonly Chunk[], limits: TreeLimits) {
    this.#guard = guard;
    this.#chunks = chunks;
    this.#limits = limits;
  }

  decode(value: unknown): readonly TreeEntry[] {
    const rows = this.#guard.list(value, 'entries', Math.min(this.#limits.entries, MAX_ENTRIES));
    let last: ByteString | undefined;
    return rows.map((row, at) => {
      const entry = this.#entry(row, `entries[${at}]`);
      // Sorted as paths are, so that none comes twice and parents come first.
      if (
        last === undefined
          ? entry.path !== '' || entry.type !== 'directory'
          : !(comparable(last) < comparable(entry.path))
      )
        throw this.#guard.fail(`entries[${at}]`, 'is out of order');
      last = entry.path;
      return entry;
    });
  }

  #entry(row: unknown, at: string): TreeEntry {
    const guard = this.#guard;
    const [name, letter, rawMode, rawUid, rawGid, rawSec, rawNsec, rest] = guard.list(row, at, 8);
    const path = this.#path(guard.string(name, `${at}[0]`), at);
    const type = letter === 'd' ? 'directory' : letter === 'f' ? 'file' : letter === 'l' ? 'symlink' : undefined;
    if (type === undefined) throw guard.fail(at, 'is neither a file nor a directory nor a symlink');
    const mode = numberAt(guard, rawMode, at, 0o7777);
    if (travelingMode(type, mode) !== mode) throw guard.fail(at, 'has a mode that does not travel (setuid, setgid)');
    const common = {
      path,
      mode,
      uid: numberAt(guard, rawUid, at, 2 ** 32 - 2),
      gid: numberAt(guard, rawGid, at, 2 ** 32 - 2),
      mtime: { sec: secondsAt(guard, rawSec, at), nsec: numberAt(guard, rawNsec, at, 999_999_999) },
    };
    switch (type) {
      case 'directory':
        this.#directories.add(path);
        return { ...common, type };
      case 'symlink': {
        const target = guard.string(rest, `${at}[7]`);
        if (target === '' || target.length > MAX_PATH || !isBytes(target)) throw guard.fail(at, 'links to no path');
        return { ...common, type, target };
      }
      case 'file':
        return { ...common, type, chunks: this.#content(rest, at) };
    }
  }

  #path(path: string, at: string): ByteString {
    if (path === '') return path;
    const slash = path.lastIndexOf('/');
    const names = path.split('/');
    const isPlain = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && name.length <= MAX_NAME;
    if (path.length > MAX_PATH || names.length > MAX_DEPTH || !isBytes(path) || !names.every(isPlain))
      throw this.#guard.fail(at, 'has a path that leads out of its directory, or none');
    // A link, or a file, is no parent: what is written goes through nothing that the tree could have put there.
    if (!this.#directories.has(slash < 0 ? '' : path.slice(0, slash)))
      throw this.#guard.fail(at, 'has a parent that is no directory of the tree');
    return path;
  }

  #content(value: unknown, at: string): readonly number[] {
    const numbers = this.#guard.list(value, `${at}[7]`, MAX_CHUNKS);
    return numbers.map((number) => {
      const index = numberAt(this.#guard, number, `${at}[7]`, this.#chunks.length - 1);
      // Counted as it is written: few chunks can be very many files.
      this.#bytes += this.#chunks[index]?.length ?? 0;
      if (this.#bytes > this.#limits.bytes)
        throw this.#guard.fail(at, `exceeds the limit of ${this.#limits.bytes} bytes for all files together`);
      return index;
    });
  }
}

/** By this, paths sort as a walk comes to them: what is in a directory right after it. */
export function comparable(path: ByteString): ByteString {
  return path.replaceAll('/', '\0');
}

/** A byte string, which no C string would end early. */
function isBytes(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0 || code > 255) return false;
  }
  return true;
}

function numberAt(guard: Guard, value: unknown, path: string, most: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw guard.fail(path, `is not a number from 0 to ${most}`);
}

function secondsAt(guard: Guard, value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && Math.abs(value) <= MAX_SECONDS) return value;
  throw guard.fail(path, 'is not a time in seconds');
}
