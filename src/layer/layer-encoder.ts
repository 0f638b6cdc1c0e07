import { availableParallelism } from 'node:os';
import { type Digest, Hasher } from '../util/index.ts';
import { GZIP_LEVEL, GzipEncoder } from './gzip-encoder.ts';
import { BLOCK_BYTES, type BlockEncoder, type LayerCompression, type LayerSink } from './sink.ts';
import { PlainEncoder, ZSTD_LEVEL, ZstdEncoder } from './stream-encoder.ts';
import type { TarTarget } from './tar-writer.ts';

/** A block that no layer is being written to: most layers need one, for a moment, and fresh memory costs about 1 ms for 1 MiB. */
let idle: Buffer | undefined;

/** How many processors there are. Node reads files of /proc and /sys each time. */
let processors: number | undefined;

/** A finished layer blob. */
export interface EncodedLayer {
  /** Of the uncompressed bytes. */
  readonly diffId: Digest;
  /** Of the blob as it was committed, and its bytes. */
  readonly digest: Digest;
  readonly size: number;
  /** Uncompressed bytes. */
  readonly uncompressedSize: number;
}

/**
 * From uncompressed bytes to a committed blob in one pass: collects blocks of 1 MiB, hashes them (the diffID),
 * compresses them on other threads, and writes the result to the sink, which hashes it. Writing is synchronous and
 * never waits: whoever writes much awaits `ready()` whenever `congested`, then memory stays within some 20 MiB.
 */
export class LayerEncoder implements TarTarget {
  readonly #sink: LayerSink;
  readonly #encoder: BlockEncoder;
  readonly #plain: boolean;
  readonly #hasher = new Hasher();
  readonly #spare: Buffer[] = [];
  #block: Buffer;
  #used = 0;
  #size = 0;

  constructor(
    sink: LayerSink,
    compression: LayerCompression,
    parallel: number = (processors ??= availableParallelism()),
  ) {
    this.#sink = sink;
    this.#plain = compression.kind === 'none';
    const release = (block: Buffer): void => {
      if (block.length === BLOCK_BYTES) this.#spare.push(block);
    };
    // One more than there are processors, so that none waits for this thread.
    if (compression.kind === 'gzip')
      this.#encoder = new GzipEncoder(sink, compression.level ?? GZIP_LEVEL, parallel + 1, release);
    else if (compression.kind === 'zstd')
      this.#encoder = new ZstdEncoder(sink, compression.level ?? ZSTD_LEVEL, release);
    else this.#encoder = new PlainEncoder(sink, release);
    this.#block = this.#take();
  }

  get congested(): boolean {
    return this.#encoder.congested;
  }

  /** Resolves when more may be written. @throws what went wrong since */
  async ready(): Promise<void> {
    await this.#encoder.ready();
  }

  reserve(length: number): { readonly buffer: Buffer; readonly offset: number } {
    // A full block is handed on at the next use, when the caller has filled its place.
    this.#turn();
    if (this.#used + length > BLOCK_BYTES) throw new RangeError('A reservation crosses a block boundary');
    const place = { buffer: this.#block, offset: this.#used };
    this.#used += length;
    return place;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const { buffer, offset, length } = this.room();
      const count = Math.min(length, bytes.length - at);
      buffer.set(at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count), offset);
      this.advance(count);
      at += count;
    }
  }

  /** The free part of the current block, at least one byte: fill it from its start, then call `advance`. */
  room(): { readonly buffer: Buffer; readonly offset: number; readonly length: number } {
    this.#turn();
    return { buffer: this.#block, offset: this.#used, length: BLOCK_BYTES - this.#used };
  }

  /** `count` bytes of `room()` were filled. */
  advance(count: number): void {
    this.#used += count;
  }

  /** Writes out everything, commits the sink. On failure the sink is aborted. */
  async finish(): Promise<EncodedLayer> {
    try {
      this.#turn();
      const last = this.#block.subarray(0, this.#used);
      this.#account(last);
      await this.#encoder.finish(last);
      // Nobody reads it any more. One that was given up may still be compressed.
      idle = this.#block;
      const { digest, size } = await this.#sink.commit();
      return { diffId: this.#plain ? digest : this.#hasher.digest(), digest, size, uncompressedSize: this.#size };
    } catch (error) {
      this.#sink.abort();
      throw error;
    }
  }

  /** Gives up: the sink is aborted. */
  abort(): void {
    this.#sink.abort();
  }

  /** Hands on the block when it is full. */
  #turn(): void {
    if (this.#used < BLOCK_BYTES) return;
    this.#account(this.#block);
    this.#encoder.push(this.#block);
    this.#block = this.#take();
    this.#used = 0;
  }

  #account(block: Buffer): void {
    this.#size += block.length;
    if (!this.#plain) this.#hasher.update(block);
  }

  #take(): Buffer {
    const block = this.#spare.pop() ?? idle ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    if (block === idle) idle = undefined;
    return block;
  }
}
