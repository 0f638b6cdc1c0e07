import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import { isIncompressible, storedBlocks } from './incompressible.ts';
import { BLOCK_BYTES, type BlockEncoder, type LayerSink } from './sink.ts';

/**
 * The default level. 190 MB, two thirds text, one third random, became 93.4 MB at level 1, 92.1 at 2, 89.4 at 4 and
 * 88.1 at 6; deflating 60 MB of text took 0.35, 0.38, 0.49 and 0.95 s of one processor.
 */
export const GZIP_LEVEL = 2;

/** What deflate refers back to. */
const WINDOW = 32 * 1024;
/** No name, no time, no flags, operating system unknown: nothing of the machine. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/**
 * Room for the output of a block: one piece where possible, since every further one is another trip to the pool, but
 * not more than that, since fresh memory costs about 1 ms for 1 MiB.
 */
const MIN_OUTPUT = 64 * 1024;
const MAX_OUTPUT = BLOCK_BYTES + 8192;

/** Bytes that are compressed at once: a trip to the pool takes longer, and the streams that it goes through. */
const SMALL = 16 * 1024;

interface Job {
  readonly block: Buffer;
  readonly dictionary: Buffer | undefined;
  readonly last: boolean;
  /** To be stored as it is. */
  readonly stored: boolean;
  output: Buffer | undefined;
  /** Bytes that zlib was to make room for. */
  room: number;
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
  readonly #waiting: Job[] = [];
  #running = 0;
  #crc = 0;
  #size = 0;
  #outputSize = MIN_OUTPUT * 4;
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
    const stored = isIncompressible(block);
    const job: Job = { block, dictionary: this.#dictionary, last, stored, output: undefined, room: 0 };
    this.#dictionary = last ? undefined : Buffer.from(block.subarray(-WINDOW));
    this.#queue.push(job);
    if (stored) this.#flush();
    else {
      this.#waiting.push(job);
      this.#start();
    }
  }

  #start(): void {
    while (this.#running < this.#parallel) {
      const job = this.#waiting.shift();
      if (!job) return;
      const flush = job.last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
      const options = {
        level: this.#level,
        // A little faster than the default of 8, for about the same size.
        memLevel: 9,
        // Flushed with the input, and not by a second call that has none: one trip to the pool, and one piece of output.
        flush,
        finishFlush: flush,
        ...(job.dictionary ? { dictionary: job.dictionary } : {}),
      };
      if (job.block.length <= SMALL) {
        job.output = deflateRawSync(job.block, options);
        this.#release(job.block);
        this.#flush();
        continue;
      }
      this.#running++;
      job.room = this.#outputSize;
      deflateRaw(job.block, { ...options, chunkSize: job.room }, (error, output) => {
        this.#running--;
        this.#release(job.block);
        if (error) {
          this.#failure ??= { error };
          this.#wake?.();
          return;
        }
        job.output = output;
        this.#outputSize = Math.min(MAX_OUTPUT, Math.max(MIN_OUTPUT, Math.ceil(output.length * 1.25)));
        this.#start();
        this.#flush();
      });
    }
  }

  /** Writes what is complete and next in line. */
  #flush(): void {
    try {
      for (let job = this.#queue[0]; job && (job.stored || job.output); job = this.#queue[0]) {
        if (this.#failure) return;
        this.#sink.write(job.output ?? storedBlocks(job.block, job.last));
        if (job.output) free(job.output, job.room);
        if (job.stored) this.#release(job.block);
        this.#queue.shift();
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#wake?.();
  }
}

/**
 * Frees what zlib wrote to, at once: left to the collector, 20 MB and more pile up. When all found room in one piece, the piece is that
 * large and nobody else's; else the output was copied together from several.
 */
function free({ buffer }: Buffer, room: number): void {
  if (buffer.byteLength === room && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
