import { closeSync, constants, openSync, readSync } from 'node:fs';
import { type BytePath, O_NOFOLLOW, O_RDONLY, openat2, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS } from '../sys/index.ts';
import { type Digest, fromErrno, Hasher, sha256, TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import type { ContentSource, LayerEntry } from './layer-entry.ts';

/** The content of a file while it is being read, from its start to the size that its entry states; hashed where somebody wants that. */
export class OpenContent {
  /** Bytes. */
  readonly size: number;
  readonly #entry: LayerEntry;
  readonly #fd: number;
  /** Whether the fd is this one's to close. */
  readonly #isOwn: boolean;
  /** What the content must hash to. */
  readonly #expected: Digest | undefined;
  readonly #onDigest: ((digest: Digest) => void) | undefined;
  #hasher: Hasher | undefined;
  #digest: Digest | undefined;
  #position = 0;

  /** @throws TsbuildError `TSB_CHANGED` when it cannot be opened */
  constructor(entry: LayerEntry, source: Exclude<ContentSource, Uint8Array>, size: number) {
    const isGiven = 'fd' in source;
    this.size = size;
    this.#entry = entry;
    this.#fd = isGiven ? source.fd : openSource(entry, source);
    this.#isOwn = !isGiven;
    this.#expected = source.digest;
    this.#onDigest = isGiven ? source.onDigest : undefined;
  }

  get isComplete(): boolean {
    return this.#position === this.size;
  }

  /** Reads at most `length` bytes and returns how many. @throws TsbuildError `TSB_CHANGED` when the file is shorter than stated */
  read(buffer: Buffer, offset: number, length: number): number {
    const count = readSync(this.#fd, buffer, offset, Math.min(length, this.size - this.#position), this.#position);
    if (count === 0) throw changed(this.#entry, 'it became shorter while it was read');
    this.#position += count;
    if (this.#expected === undefined && this.#onDigest === undefined) return count;
    const bytes = buffer.subarray(offset, offset + count);
    // Most files take one read.
    if (count === this.size) this.#digest = sha256(bytes);
    else (this.#hasher ??= new Hasher()).update(bytes);
    return count;
  }

  /** To be called when all was read, and the file is closed. @throws TsbuildError `TSB_CHANGED` when it is not what it should be */
  check(): void {
    const digest = this.#digest ?? this.#hasher?.digest();
    if (this.#expected !== undefined && digest !== this.#expected)
      throw changed(this.#entry, 'its content is not what it was when it was hashed');
    if (digest !== undefined) this.#onDigest?.(digest);
  }

  close(): void {
    if (this.#isOwn) closeSync(this.#fd);
  }
}

function openSource(entry: LayerEntry, source: { readonly path: BytePath; readonly dirfd?: number }): number {
  // A fifo put in the file's place must not block.
  const flags = O_RDONLY | O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    if (source.dirfd !== undefined) {
      return openat2(source.dirfd, source.path, { flags, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS });
    }
    return openSync(typeof source.path === 'string' ? source.path : Buffer.from(source.path), flags);
  } catch (error) {
    throw fromErrno(error, `Cannot read ${quote(entry.path)} for the layer`, 'TSB_CHANGED');
  }
}

function changed(entry: LayerEntry, reason: string): TsbuildError {
  return new TsbuildError('TSB_CHANGED', `Cannot store ${quote(entry.path)} in a layer: ${reason}`, {
    hint: 'Keep the files still during the build, then build again',
  });
}
