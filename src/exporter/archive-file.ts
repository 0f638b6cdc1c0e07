import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { decompress, readChunks, type TarEntry, TarReader } from '../layer/index.ts';
import type { Compression } from '../image/index.ts';
import {
  type Digest,
  fromErrno,
  Hasher,
  isTsbuildError,
  TsbuildError,
  SNIFF_BYTES,
  sniffCompression,
} from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { BlobDir, BlobWriter } from '../store/index.ts';

/** Entries of an archive with images; whatever has more is a root file system. */
const MAX_ENTRIES = 20_000;
const CHUNK = 1 << 20;

/** Where an archive to import comes from. */
export type ArchiveSource =
  | { readonly path: string }
  | { readonly stream: AsyncIterable<Uint8Array>; readonly name: string };

interface Member {
  readonly offset: number;
  readonly size: number;
}

/**
 * A tar archive whose files can be read in any order. It is read through once, and kept as a plain file: as it is where it
 * is one, else in a temporary file of the store. Names are keys here and never become paths.
 */
export class ArchiveFile implements Disposable {
  /** How messages name it, e.g. `archive "x.tar"`. */
  readonly what: string;
  /** How the archive itself is compressed. */
  readonly compression: Compression;
  readonly #fd: number;
  readonly #files: ReadonlyMap<string, Member>;
  readonly #links: ReadonlyMap<string, string>;
  readonly #cleanup: Disposable[];
  /** Path of the archive as it came, compressed or not. */
  readonly path: string;

  private constructor(fields: {
    what: string;
    compression: Compression;
    fd: number;
    found: Found;
    path: string;
    cleanup: Disposable[];
  }) {
    this.what = fields.what;
    this.compression = fields.compression;
    this.path = fields.path;
    this.#fd = fields.fd;
    this.#files = fields.found.files;
    this.#links = fields.found.links;
    this.#cleanup = fields.cleanup;
  }

  /** @throws TsbuildError `TSB_NOT_FOUND`, `TSB_ARCHIVE` when it is no intact tar, `TSB_NO_SPACE` */
  static async open(task: Task, blobs: BlobDir, source: ArchiveSource): Promise<ArchiveFile> {
    const what = `archive ${JSON.stringify('path' in source ? source.path : source.name)}`;
    const cleanup: Disposable[] = [];
    const keep = (writer: BlobWriter): BlobWriter => {
      cleanup.push(writer);
      return writer;
    };
    try {
      let path: string;
      if ('path' in source) path = source.path;
      else {
        const raw = keep(blobs.ingest());
        for await (const chunk of source.stream) {
          task.signal.throwIfAborted();
          raw.write(chunk);
        }
        path = raw.path;
      }
      const compression = compressionOfFile(path, what);
      const plain = compression === 'none' ? undefined : keep(blobs.ingest());
      const found = new Found();
      const reader = new TarReader(found);
      for await (const chunk of decompress(readChunks(path), compression)) {
        task.signal.throwIfAborted();
        plain?.write(chunk);
        found.push(reader, chunk);
        await setImmediate();
      }
      reader.finish();
      if (found.count === 0) throw new TsbuildError('TSB_ARCHIVE', `Cannot import ${what}: it is empty`);
      const fd = openSync(plain?.path ?? path, 'r');
      cleanup.push({ [Symbol.dispose]: () => closeSync(fd) });
      return new ArchiveFile({ what, compression, fd, found, path, cleanup });
    } catch (error) {
      for (const item of cleanup) item[Symbol.dispose]();
      if (isTsbuildError(error, 'TSB_ARCHIVE')) {
        throw new TsbuildError('TSB_ARCHIVE', `Cannot import ${what}: ${error.message}`, {
          cause: error,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        });
      }
      throw fromErrno(error, `Cannot read ${what}`, 'TSB_ARCHIVE');
    }
  }

  /** Whether there is a file of that name; false for all names of an archive with too many. */
  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** Bytes of a file; undefined when there is none of that name. */
  size(name: string): number | undefined {
    return this.#find(name)?.size;
  }

  /** Where a file lies in the archive without compression, and how many bytes it has. @throws TsbuildError `TSB_NOT_FOUND` */
  place(name: string): Readonly<Member> {
    return this.#member(name);
  }

  /** @throws TsbuildError `TSB_NOT_FOUND`, `TSB_IMAGE` when it is too large */
  read(name: string, maxBytes: number): Buffer {
    const { offset, size } = this.#member(name);
    if (size > maxBytes)
      throw new TsbuildError('TSB_IMAGE', `Cannot use ${JSON.stringify(name)} of ${this.what}: it has ${size} bytes`);
    const bytes = Buffer.alloc(size);
    if (readSync(this.#fd, bytes, 0, size, offset) !== size) throw this.#changed(name);
    return bytes;
  }

  /** The bytes of a file in chunks that are valid until the next. */
  *stream(name: string): Generator<Buffer> {
    const { offset, size } = this.#member(name);
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, size));
    for (let done = 0; done < size;) {
      const length = readSync(this.#fd, chunk, 0, Math.min(chunk.length, size - done), offset + done);
      if (length === 0) throw this.#changed(name);
      done += length;
      yield chunk.subarray(0, length);
    }
  }

  /** sha256 of the tar itself, without compression. */
  async diffId(task: Task): Promise<Digest> {
    const hasher = new Hasher();
    for (const chunk of readChunks(this.#fd)) {
      hasher.update(chunk);
      await setImmediate();
      task.signal.throwIfAborted();
    }
    return hasher.digest();
  }

  [Symbol.dispose](): void {
    for (const item of this.#cleanup.splice(0)) item[Symbol.dispose]();
  }

  #member(name: string): Member {
    const member = this.#find(name);
    if (member === undefined)
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot use ${this.what}: file ${JSON.stringify(name.slice(0, 200))} is missing`,
      );
    return member;
  }

  /** Follows links between files of the archive: `docker save` wrote repeated layers as symbolic links. */
  #find(name: string): Member | undefined {
    let current: string | undefined = normalise(name);
    for (let hops = 0; hops < 8 && current !== undefined; hops++) {
      const file = this.#files.get(current);
      if (file !== undefined) return file;
      current = this.#links.get(current);
    }
    return undefined;
  }

  #changed(name: string): TsbuildError {
    return new TsbuildError(
      'TSB_CHANGED',
      `Cannot read ${JSON.stringify(name)} of ${this.what}: it changed while it was read`,
    );
  }
}

/** Collects the places of files while an archive is read. */
class Found {
  readonly files = new Map<string, Member>();
  readonly links = new Map<string, string>();
  count = 0;
  #position = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #current: { readonly name: string; readonly size: number; offset: number } | undefined;

  push(reader: TarReader, chunk: Buffer): void {
    this.#chunk = chunk;
    reader.push(chunk);
    this.#position += chunk.length;
  }

  /** A later member of a name replaces the earlier one, as in every tar. */
  entry(entry: TarEntry): void {
    this.count++;
    this.#current = undefined;
    const name = normalise(entry.path);
    this.files.delete(name);
    this.links.delete(name);
    if (this.files.size + this.links.size >= MAX_ENTRIES) {
      // A root file system: nothing in it is looked for.
      this.files.clear();
      this.links.clear();
    }
    if (this.count > MAX_ENTRIES) return;
    if (entry.type === 'symlink') this.links.set(name, normalise(`${name}/../${entry.linkPath}`));
    else if (entry.type === 'hardlink') this.links.set(name, normalise(entry.linkPath));
    else if (entry.type === 'file' && entry.sparse === undefined)
      this.#current = { name, size: entry.size, offset: -1 };
  }

  /** The first data of a file tells where it lies: the chunk is a part of the one that was pushed. */
  data(chunk: Buffer): void {
    if (this.#current?.offset === -1) this.#current.offset = this.#position + chunk.byteOffset - this.#chunk.byteOffset;
  }

  end(): void {
    const current = this.#current;
    if (current !== undefined)
      this.files.set(current.name, { offset: Math.max(0, current.offset), size: current.size });
    this.#current = undefined;
  }
}

/** A name without `./`, `//`, and with `..` resolved; it never leaves the top. */
function normalise(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}

/** By the first bytes: names of archives say anything. */
function compressionOfFile(path: string, what: string): Compression {
  const head = Buffer.alloc(SNIFF_BYTES);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head, 0, SNIFF_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  const compression = sniffCompression(head);
  if (compression === 'bzip2' || compression === 'xz') {
    throw new TsbuildError('TSB_ARCHIVE', `it is compressed with ${compression}, which is not supported`, {
      hint: `decompress ${what} first`,
    });
  }
  return compression;
}
