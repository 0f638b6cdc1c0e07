import type { Transform } from 'node:stream';
import { constants, createZstdCompress } from 'node:zlib';
import type { BlockEncoder, LayerSink } from './sink.ts';

/** zstd's own default: smaller than gzip at level 6 and several times as fast. */
export const ZSTD_LEVEL = 3;

/** Passes blocks on as they are. */
export class PlainEncoder implements BlockEncoder {
  readonly congested = false;
  readonly #sink: LayerSink;
  readonly #release: (block: Buffer) => void;

  constructor(sink: LayerSink, release: (block: Buffer) => void) {
    this.#sink = sink;
    this.#release = release;
  }

  push(block: Buffer): void {
    this.#sink.write(block);
    this.#release(block);
  }

  async finish(block: Buffer): Promise<void> {
    this.push(block);
  }

  async ready(): Promise<void> {}
}

const MAX_PENDING = 6;

/**
 * zstd with a checksum, on one thread of libuv's pool. Not with its own worker threads: Node takes it for the end of the
 * stream when they leave input for later, and cuts the output off (24.21, lib/zlib.js processCallback).
 */
export class ZstdEncoder implements BlockEncoder {
  readonly #stream: Transform;
  readonly #ended: Promise<void>;
  readonly #release: (block: Buffer) => void;
  #pending = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(sink: LayerSink, level: number, release: (block: Buffer) => void) {
    this.#release = release;
    this.#stream = createZstdCompress({
      chunkSize: 1 << 20,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    });
    this.#ended = new Promise((resolve) => {
      const fail = (error: unknown): void => {
        this.#failure ??= { error };
        this.#wake?.();
        resolve();
      };
      this.#stream.on('data', (chunk: Buffer) => {
        try {
          if (!this.#failure) sink.write(chunk);
        } catch (error) {
          fail(error);
        }
      });
      this.#stream.on('end', resolve);
      this.#stream.on('error', fail);
    });
  }

  get congested(): boolean {
    return this.#pending >= MAX_PENDING || this.#failure !== undefined;
  }

  async ready(): Promise<void> {
    while (this.congested && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure.error;
  }

  push(block: Buffer): void {
    this.#pending++;
    this.#stream.write(block, () => {
      this.#pending--;
      this.#release(block);
      this.#wake?.();
    });
  }

  async finish(block: Buffer): Promise<void> {
    if (block.length > 0) this.push(block);
    this.#stream.end();
    await this.#ended;
    if (this.#failure) throw this.#failure.error;
  }
}
