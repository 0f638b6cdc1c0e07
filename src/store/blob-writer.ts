import fs from 'node:fs';
import { type Digest, Hasher, hexOf, TsbuildError, WriteBehind } from '../util/index.ts';
import { join } from 'node:path';
import { fsync, syncDirectory, syncDirectoryBeside } from './layout.ts';
import type { BlobInfo } from './types.ts';
import { storeWriteError } from './write-error.ts';

/** What finds out the digest of a blob while it is written: a `Hasher`, or who knows it already. */
export interface ContentHasher {
  /** Bytes so far. */
  readonly size: number;
  update(chunk: Uint8Array): unknown;
  digest(): Digest;
}

/**
 * Writes one blob: into a temporary file on the same file system, hashed on the way, and under its digest only once it is
 * whole and on disk (security rule 12). Whoever makes one must `commit` or `abort` it; `using` aborts what was not committed.
 */
export class BlobWriter {
  /** The temporary file. */
  readonly path: string;
  readonly #blobs: string;
  readonly #hasher: ContentHasher;
  readonly #behind: WriteBehind;
  readonly #onCommit: ((digest: Digest, stat: fs.BigIntStats) => void) | undefined;
  #fd: number;

  /**
   * @param blobs the directory that the blob ends in
   * @param onCommit told what the blob's file is once it is in place
   * @param hasher tells the digest of all that was written
   */
  constructor(
    path: string,
    blobs: string,
    onCommit?: (digest: Digest, stat: fs.BigIntStats) => void,
    hasher: ContentHasher = new Hasher(),
  ) {
    this.#onCommit = onCommit;
    this.#hasher = hasher;
    this.path = path;
    this.#blobs = blobs;
    try {
      this.#fd = fs.openSync(path, 'wx', 0o600);
    } catch (error) {
      throw storeWriteError(error, path);
    }
    this.#behind = new WriteBehind(this.#fd);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#hasher.size;
  }

  /** @throws TsbuildError `TSB_NO_SPACE`, `TSB_STORE`; the writer is aborted then */
  write(chunk: Uint8Array): void {
    try {
      for (let done = 0; done < chunk.length;) done += fs.writeSync(this.#fd, chunk, done);
    } catch (error) {
      this.abort();
      throw storeWriteError(error, this.path);
    }
    this.#behind.wrote(chunk.length);
    this.#hasher.update(chunk);
  }

  /**
   * Makes the blob visible. A blob that is there already is replaced, so a damaged one heals.
   * @throws TsbuildError `TSB_DIGEST` when digest or size (bytes) are not the expected ones; `TSB_NO_SPACE`, `TSB_STORE`.
   * Nothing is visible and the writer is aborted then.
   */
  commit(expected: { digest?: Digest; size?: number } = {}): BlobInfo {
    const { info, target } = this.#verify(expected);
    try {
      // A failed fsync may have dropped the dirty pages: the file is given up, never synced again.
      fs.fsyncSync(this.#fd);
      this.#place(info.digest, target);
      syncDirectory(this.#blobs);
    } catch (error) {
      this.abort();
      throw storeWriteError(error, target);
    }
    return info;
  }

  /**
   * The same beside other work: this thread does not wait for the disk, and blobs that are finished at about the same time share its
   * waiting.
   * @throws TsbuildError `TSB_NO_SPACE`, `TSB_STORE`; the writer is aborted then
   */
  async commitBeside(): Promise<BlobInfo> {
    const { info, target } = this.#verify({});
    try {
      await fsync(this.#fd);
      this.#place(info.digest, target);
      await syncDirectoryBeside(this.#blobs);
    } catch (error) {
      this.abort();
      throw storeWriteError(error, target);
    }
    return info;
  }

  /** What the blob is and where it belongs, if it is what was expected. */
  #verify(expected: { digest?: Digest; size?: number }): { readonly info: BlobInfo; readonly target: string } {
    if (this.#fd < 0) throw new TsbuildError('TSB_INTERNAL', 'Cannot commit a blob twice');
    const digest = this.#hasher.digest();
    const { size } = this.#hasher;
    if (expected.size !== undefined && size !== expected.size) {
      this.abort();
      throw new TsbuildError(
        'TSB_DIGEST',
        `Cannot store blob "${expected.digest ?? digest}": it has ${size} bytes instead of ${expected.size}`,
      );
    }
    if (expected.digest !== undefined && digest !== expected.digest) {
      this.abort();
      throw new TsbuildError('TSB_DIGEST', `Cannot store blob "${expected.digest}": its bytes have digest "${digest}"`);
    }
    return { info: { digest, size }, target: join(this.#blobs, hexOf(digest)) };
  }

  /** Puts the file, which is on disk, where the blob belongs. */
  #place(digest: Digest, target: string): void {
    fs.fchmodSync(this.#fd, 0o444);
    // Only a store that something else wrote to has a directory there.
    if (fs.lstatSync(target, { throwIfNoEntry: false })?.isDirectory()) fs.rmSync(target, { recursive: true });
    fs.renameSync(this.path, target);
    this.#onCommit?.(digest, fs.fstatSync(this.#fd, { bigint: true }));
    this.#close();
  }

  /** Drops what was written. Safe to call at any time. */
  abort(): void {
    if (this.#fd >= 0) this.#close();
    fs.rmSync(this.path, { force: true });
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.abort();
  }

  #close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    this.#behind[Symbol.dispose]();
    fs.closeSync(fd);
  }
}
