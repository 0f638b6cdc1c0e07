import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type BytePath, O_NOFOLLOW, O_RDONLY, openat2, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS } from '../sys/index.ts';
import { type Digest, fromErrno, Hasher, sha256, TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import { type EncodedLayer, LayerEncoder } from './layer-encoder.ts';
import type { LayerCompression, LayerSink } from './sink.ts';
import { type TarEntryInput, TarWriter } from './tar-writer.ts';
import { toWindowsEntry, WINDOWS_PREFACE } from './windows-form.ts';

const ENTRIES_PER_TURN = 256;

/** Where the content of a file comes from. Links are never followed in the last component. */
export type ContentSource =
  /** The bytes themselves. */
  | Uint8Array
  /** A path; symlinks in its directories are followed, so only for trusted ones. */
  | { readonly path: BytePath; readonly digest?: Digest }
  /** A path beneath a directory fd, with no symlink in any component. */
  | { readonly dirfd: number; readonly path: BytePath; readonly digest?: Digest }
  /** An open file, read from its start; the caller closes it. `onDigest` is told the sha256 of what was read. */
  | { readonly fd: number; readonly digest?: Digest; readonly onDigest?: (digest: Digest) => void };

/** An entry with its content. `size` is required for files whose content is not given as bytes. */
export interface LayerEntry extends TarEntryInput {
  readonly content?: ContentSource | undefined;
}

/** The form of the blob. */
export interface WriteLayerOptions {
  readonly compression: LayerCompression;
  /** Times after this many seconds since the epoch become it (SOURCE_DATE_EPOCH). */
  readonly clampTime?: number | undefined;
  /** Write the form that layers of Windows images have. */
  readonly windows?: boolean;
  readonly signal?: AbortSignal;
  /** Told when all contents were read, while the last of them are still being compressed. */
  readonly onRead?: () => void;
}

/**
 * Writes a layer blob straight from a list of entries, in their order; nothing is put on disk but the blob. Callers
 * sort by path bytes, parents first (`sortEntries`). Whoever looks for entries while they are written gives undefined now and then
 * when none is found, so that others get their turn.
 * @throws TsbuildError `TSB_CHANGED` when a file is shorter than stated, or its content is not that of its digest
 */
export async function writeLayerFromEntries(
  entries: Iterable<LayerEntry | undefined>,
  sink: LayerSink,
  options: WriteLayerOptions,
): Promise<EncodedLayer> {
  const archive = new LayerWriter(sink, options);
  try {
    let count = 0;
    for (const entry of entries) {
      if (entry && !archive.add(entry)) await archive.rest();
      if (entry && ++count % ENTRIES_PER_TURN > 0) continue;
      // Files are read synchronously: now and then others have their turn, such as whoever cancels.
      await setImmediate();
      options.signal?.throwIfAborted();
    }
  } catch (error) {
    archive.abort();
    throw error;
  }
  const finished = archive.finish();
  try {
    options.onRead?.();
  } finally {
    await finished;
  }
  return finished;
}

/** Orders entries as layers have them: by path bytes, so that parents come before what is in them. */
export function sortEntries<T extends { readonly path: string }>(entries: T[]): T[] {
  return entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

interface OpenContent {
  readonly entry: LayerEntry;
  readonly fd: number;
  readonly close: boolean;
  /** What the content must hash to. */
  readonly digest: Digest | undefined;
  readonly onDigest: ((digest: Digest) => void) | undefined;
  /** Made when the content takes more than one read. */
  hasher: Hasher | undefined;
  position: number;
  readonly size: number;
}

/** A layer blob in the making: tar entries in, one blob out. */
export class LayerWriter {
  readonly #encoder: LayerEncoder;
  readonly #tar: TarWriter;
  readonly #options: WriteLayerOptions;
  #open: OpenContent | undefined;

  constructor(sink: LayerSink, options: WriteLayerOptions) {
    this.#options = options;
    this.#encoder = new LayerEncoder(sink, options.compression);
    this.#tar = new TarWriter(this.#encoder);
    if (options.windows) for (const entry of WINDOWS_PREFACE) this.#tar.header(entry);
  }

  /**
   * Writes an entry and as much of its content as may be written now. When false is returned, `rest()` must be awaited
   * before the next call.
   */
  add(entry: LayerEntry): boolean {
    const { clampTime, windows } = this.#options;
    const { content } = entry;
    const late = clampTime !== undefined && (entry.mtime?.sec ?? 0) > clampTime;
    const bytes = content instanceof Uint8Array ? content : undefined;
    const size = entry.type === 'file' ? (bytes?.length ?? entry.size ?? 0) : 0;
    const asIs = !late && size === entry.size;
    const stated = asIs ? entry : { ...entry, size, ...(late ? { mtime: { sec: clampTime } } : {}) };
    this.#tar.header(windows ? toWindowsEntry(stated) : stated);
    if (size > 0) {
      if (bytes) {
        this.#encoder.write(bytes);
        this.#tar.pad(size);
      } else if (content && !(content instanceof Uint8Array)) {
        this.#open = openContent(entry, content, size);
        this.#pump();
      } else throw new RangeError(`The file ${quote(entry.path)} has a size and no content`);
    } else if (content && 'onDigest' in content) content.onDigest?.(sha256(''));
    return this.#open === undefined && !this.#encoder.congested;
  }

  /** Waits until the next entry may be added. */
  async rest(): Promise<void> {
    for (;;) {
      this.#options.signal?.throwIfAborted();
      await this.#encoder.ready();
      if (!this.#open) return;
      this.#pump();
    }
  }

  /** The end marker, and the blob's commit. */
  async finish(): Promise<EncodedLayer> {
    try {
      this.#tar.end();
    } catch (error) {
      this.abort();
      throw error;
    }
    return this.#encoder.finish();
  }

  /** Gives up; nothing is left behind. */
  abort(): void {
    this.#close();
    this.#encoder.abort();
  }

  /** Copies content until it is complete or the encoder is congested. */
  #pump(): void {
    const open = this.#open;
    if (!open) return;
    const { entry, fd, size } = open;
    const hashed = open.digest !== undefined || open.onDigest !== undefined;
    let digest: Digest | undefined;
    while (open.position < size) {
      const { buffer, offset, length } = this.#encoder.room();
      const count = readSync(fd, buffer, offset, Math.min(length, size - open.position), open.position);
      if (count === 0) throw changed(entry, 'it became shorter while it was read');
      if (hashed) {
        const bytes = buffer.subarray(offset, offset + count);
        if (count === size) digest = sha256(bytes);
        else (open.hasher ??= new Hasher()).update(bytes);
      }
      this.#encoder.advance(count);
      open.position += count;
      if (open.position < size && this.#encoder.congested) return;
    }
    this.#close();
    digest ??= open.hasher?.digest();
    if (open.digest !== undefined && digest !== open.digest)
      throw changed(entry, 'its content is not what it was when it was hashed');
    if (digest !== undefined) open.onDigest?.(digest);
    this.#tar.pad(size);
  }

  #close(): void {
    if (this.#open?.close) closeSync(this.#open.fd);
    this.#open = undefined;
  }
}

function openContent(entry: LayerEntry, source: Exclude<ContentSource, Uint8Array>, size: number): OpenContent {
  const { digest } = source;
  const given = 'fd' in source;
  return {
    entry,
    fd: given ? source.fd : openSource(entry, source),
    close: !given,
    digest,
    onDigest: given ? source.onDigest : undefined,
    hasher: undefined,
    position: 0,
    size,
  };
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
