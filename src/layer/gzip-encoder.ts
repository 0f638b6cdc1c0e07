import { constants, crc32, deflateRaw } from 'node:zlib';
import { isIncompressible, storedBlocks } from './incompressible.ts';
import { BLOCK_BYTES, type BlockEncoder, type LayerSink } from './sink.ts';

/**
 * The default level. Text and random data two to one, 190 MB, two cores: level 1 makes 93.5 MB, 4 makes 89.5 MB, 6 makes
 * 88.3 MB and takes almost twice as long as 4.
 */
export const GZIP_LEVEL = 4;

/** What deflate refers back to. */
const WINDOW = 32 * 1024;
/** No name, no time, no flags, operating system unknown: nothing of the machine. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

interface Job {
  readonly block: Buffer;
  readonly dictionary: Buffer | undefined;
  readonly last: boolean;
  output: Buffer | undefined;
}

/**
 * gzip of blocks in parallel, on libuv's thread pool. Each block is a run of deflate blocks of its own, with the 32 KiB
 * before it as dictionary, so that the result is one ordinary member that compresses as well as if made in one go.
 * The bytes depend on the level, the block size and the zlib of Node, not on the number of cores.
 * Blocks that look random are stored: deflate takes as long for them as for text, and gains nothing.
 */
export class GzipEncoder implements BlockEncoder {
  readonly #sink: LayerSink;
  readonly #level: number;
  readonly #parallel: number;
  readonly #release: (block: Buffer) => void;
  readonly #queue: Job[] = [];
  #waiting: Job[] = [];
  #running = 0;
  #crc = 0;
  #size = 0;
  #dictionary: Buffer | undefined;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param parallel how many blocks to compress at once */
  constructor(sink: LayerSink, level: number, parallel: number, release: (block: Buffer) => void) {
    this.#sink = sink;
    this.#level = level;
    this.#parallel = parallel;
    this.#release = release;
    sink.write(HEADER);
  }

  get congested(): boolean {
    return this.#queue.length >= this.#parallel + 4 || this.#failure !== undefined;
  }

  async ready(): Promise<void> {
    while (this.#failure === undefined && this.congested) await this.#progress();
    if (this.#failure) throw this.#failure.error;
  }

  push(block: Buffer): void {
    this.#add(block, false);
  }

  async finish(block: Buffer): Promise<void> {
    this.#add(block, true);
    while (this.#failure === undefined && this.#queue.length > 0) await this.#progress();
    if (this.#failure) throw this.#failure.error;
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#size % 2 ** 32, 4);
    this.#sink.write(trailer);
  }

  async #progress(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #add(block: Buffer, last: boolean): void {
    this.#crc = crc32(block, this.#crc);
    this.#size += block.length;
    const job: Job = { block, dictionary: this.#dictionary, last, output: undefined };
    this.#dictionary = last ? undefined : Buffer.from(block.subarray(-WINDOW));
    this.#queue.push(job);
    if (isIncompressible(block)) {
      job.output = storedBlocks(block, last);
      this.#release(block);
      this.#flush();
    } else {
      this.#waiting.push(job);
      this.#start();
    }
  }

  #start(): void {
    while (this.#running < this.#parallel) {
      const job = this.#waiting.shift();
      if (!job) return;
      this.#running++;
      const options = {
        level: this.#level,
        finishFlush: job.last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
        // One piece of output: every further one is another trip to the pool.
        chunkSize: job.block.length + (job.block.length >> 8) + 1024,
        ...(job.dictionary ? { dictionary: job.dictionary } : {}),
      };
      deflateRaw(job.block, options, (error, output) => {
        this.#running--;
        this.#release(job.block);
        if (error) this.#failure ??= { error };
        job.output = output;
        this.#start();
        this.#flush();
      });
    }
  }

  /** Writes what is complete and next in line. */
  #flush(): void {
    try {
      while (this.#failure === undefined && this.#queue[0]?.output) {
        this.#sink.write(this.#queue[0].output);
        this.#queue.shift();
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#wake?.();
  }
}

/** The gzip of bytes in one call, as `GzipEncoder` makes it. */
export async function gzip(bytes: Uint8Array, level: number = GZIP_LEVEL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sink = { write: (chunk: Uint8Array) => chunks.push(Buffer.from(chunk)) } as unknown as LayerSink;
  const encoder = new GzipEncoder(sink, level, 2, () => undefined);
  let at = 0;
  for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
    encoder.push(Buffer.from(bytes.subarray(at, at + BLOCK_BYTES)));
    if (encoder.congested) await encoder.ready();
  }
  await encoder.finish(Buffer.from(bytes.subarray(at)));
  return Buffer.concat(chunks);
}
