import fs from 'node:fs';
import { DamageError } from './damage.ts';
import { join } from 'node:path';
import { type Digest, errnoOf, Hasher, hexOf, parseDigest, sha256, TsbuildError } from '../util/index.ts';
import { BlobWriter, type ContentHasher } from './blob-writer.ts';
import { storeError, storeWriteError } from './write-error.ts';
import { randomId, storeLayout } from './layout.ts';
import type { BlobInfo } from './types.ts';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const CHUNK = 1 << 20;
/** Uses are noted at most once in so many ms. */
const TOUCH_AFTER = 3600 * 1000;

/**
 * The blobs of a store: files named by their sha256 (OCI image layout, "blobs"). It uses no index, so the worker process
 * opens the same directory. `session` marks temporary files as belonging to a running process: see `Store.session`.
 */
export class BlobDir {
  readonly root: string;
  readonly #blobs: string;
  readonly #ingest: string;
  readonly #session: () => string | undefined;
  /** What the files of blobs were when they had been written and hashed through this object. */
  readonly #written = new Map<Digest, fs.BigIntStats>();
  #ingestReady = false;

  constructor(root: string, session?: string | (() => string)) {
    const layout = storeLayout(root);
    this.root = root;
    this.#blobs = layout.blobs;
    this.#ingest = layout.ingest;
    this.#session = typeof session === 'function' ? session : () => session;
  }

  /** The file of a blob, whether it exists or not. @throws TsbuildError `TSB_DIGEST` when the digest is malformed */
  path(digest: Digest): string {
    return join(this.#blobs, hexOf(parseDigest(digest)));
  }

  /** Whether the blob is there, with that many bytes if `size` is given. Its content is not read. */
  has(digest: Digest, size?: number): boolean {
    const info = this.info(digest);
    return info !== undefined && (size === undefined || info.size === size);
  }

  /** Undefined when it is not there. */
  info(digest: Digest): BlobInfo | undefined {
    const stat = fs.lstatSync(this.path(digest), { throwIfNoEntry: false });
    return stat?.isFile() ? { digest, size: stat.size } : undefined;
  }

  /**
   * Opens a blob; the caller closes the descriptor. It stays readable when the blob is removed or replaced meanwhile.
   * @returns the size in bytes as well
   * @throws TsbuildError `TSB_NOT_FOUND`
   */
  openRead(digest: Digest): { readonly fd: number; readonly size: number } {
    const path = this.path(digest);
    let fd: number;
    try {
      fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (errnoOf(error) === 'ELOOP') throw notABlob(digest, error);
      throw storeError(error, `Cannot read blob "${digest}"`, path);
    }
    const stat = fs.fstatSync(fd);
    if (stat.isFile()) return { fd, size: stat.size };
    fs.closeSync(fd);
    throw notABlob(digest);
  }

  /**
   * A small blob in one piece, verified; a damaged one is removed, so that it is fetched or made again.
   * @param maxBytes the largest size to accept
   * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_DIGEST`
   */
  read(digest: Digest, maxBytes: number = 8 << 20): Buffer {
    const bytes = this.#read(digest, maxBytes);
    if (sha256(bytes) === digest) return bytes;
    this.remove(digest);
    throw new DamageError('TSB_DIGEST', `Cannot use blob "${digest}": it was damaged on disk and has been removed`, {
      hint: 'run the command again, the blob is fetched or built again',
    });
  }

  /** The same without consequences: undefined when it is not there, too large or damaged. */
  peek(digest: Digest, maxBytes: number = 8 << 20): Buffer | undefined {
    try {
      const bytes = this.#read(digest, maxBytes);
      return sha256(bytes) === digest ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  #read(digest: Digest, maxBytes: number): Buffer {
    const { fd, size } = this.openRead(digest);
    try {
      if (size <= maxBytes) return fs.readFileSync(fd);
      throw new TsbuildError('TSB_DIGEST', `Cannot read blob "${digest}": ${size} bytes are more than ${maxBytes}`);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Starts a new blob. @throws TsbuildError `TSB_NO_SPACE`, `TSB_STORE` */
  ingest(): BlobWriter {
    return this.#ingestHashed();
  }

  #ingestHashed(hasher?: ContentHasher): BlobWriter {
    const session = this.#session();
    const dir = session === undefined ? this.#ingest : join(this.#ingest, session);
    if (!this.#ingestReady) {
      try {
        fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
        fs.mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
      } catch (error) {
        throw storeWriteError(error, dir);
      }
      this.#ingestReady = true;
    }
    const onCommit = (digest: Digest, stat: fs.BigIntStats): unknown => this.#written.set(digest, stat);
    return new BlobWriter(join(dir, randomId()), this.#blobs, onCommit, hasher);
  }

  /** Whether an open blob was written through this object and is untouched since, so that hashing it would tell nothing new. */
  isAsWritten(digest: Digest, fd: number): boolean {
    const then = this.#written.get(digest);
    if (!then) return false;
    const now = fs.fstatSync(fd, { bigint: true });
    return (['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const).every((field) => now[field] === then[field]);
  }

  /** Stores bytes that are in memory. What is there already, and right, is not written again. */
  put(bytes: Uint8Array | string): BlobInfo {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const info = { digest: sha256(data), size: data.length };
    if (this.#isThere(info, data)) return info;
    using writer = this.#ingestHashed(known(info));
    writer.write(data);
    return writer.commit();
  }

  /** The same beside other work: see `BlobWriter.commitBeside`. */
  async putBeside(data: Uint8Array): Promise<BlobInfo> {
    const info = { digest: sha256(data), size: data.length };
    if (this.#isThere(info, data)) return info;
    using writer = this.#ingestHashed(known(info));
    writer.write(data);
    return await writer.commitBeside();
  }

  /** Whether the blob of these bytes is there and right. */
  #isThere({ digest, size }: BlobInfo, data: Uint8Array): boolean {
    return this.has(digest, size) && (size > CHUNK ? this.verify(digest) : this.#equals(digest, data));
  }

  /** Whether the blob has these bytes. */
  #equals(digest: Digest, data: Uint8Array): boolean {
    try {
      return fs.readFileSync(this.path(digest)).equals(data);
    } catch {
      return false;
    }
  }

  /** Reads the whole blob: whether it is there and its bytes have this digest. */
  verify(digest: Digest): boolean {
    let opened: { fd: number };
    try {
      opened = this.openRead(digest);
    } catch {
      return false;
    }
    const hasher = new Hasher();
    const chunk = Buffer.allocUnsafe(CHUNK);
    try {
      for (;;) {
        const length = fs.readSync(opened.fd, chunk, 0, CHUNK, null);
        if (length === 0) return hasher.digest() === digest;
        hasher.update(chunk.subarray(0, length));
      }
    } catch {
      return false;
    } finally {
      fs.closeSync(opened.fd);
    }
  }

  /** Notes that a blob was used, for those that no record names: `prune` begins with what was not used for longest. @param now ms since the epoch */
  touch(digest: Digest, now: number): void {
    const path = this.path(digest);
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile() || now - stat.mtimeMs < TOUCH_AFTER) return;
    try {
      fs.utimesSync(path, stat.atime, new Date(now));
    } catch {
      // It is only fetched again sooner than it need be.
    }
  }

  /** Removes a blob, or whatever stands in its place. */
  remove(digest: Digest): void {
    fs.rmSync(this.path(digest), { force: true, recursive: true });
  }

  /** All blobs, in no order. Other files in the directory are left out. */
  *list(): Generator<BlobInfo & { readonly modifiedAt: number }> {
    for (const name of fs.readdirSync(this.#blobs)) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const stat = fs.lstatSync(join(this.#blobs, name), { throwIfNoEntry: false });
      if (stat?.isFile()) yield { digest: `sha256:${name}`, size: stat.size, modifiedAt: stat.mtimeMs };
    }
  }
}

/** Bytes in memory were hashed to see whether they are there: not once more while they are written. */
function known({ digest, size }: BlobInfo): ContentHasher {
  return { size, update: () => undefined, digest: () => digest };
}

function notABlob(digest: Digest, cause?: unknown): TsbuildError {
  return new TsbuildError('TSB_DIGEST', `Cannot read blob "${digest}": it is not a regular file`, {
    hint: 'run "tsbuild store check --repair"',
    cause,
  });
}
