import pLimit from 'p-limit';
import { readContent, verifyContent } from '../layer/index.ts';
import type { Digest } from '../util/index.ts';
import { ReaderGone, ringMemory, RingWriter } from './byte-ring.ts';
import { complete, type Completion, completion, isComplete } from './completion.ts';
import type { ExtractedFiles, ExtractLayerParams } from './extract-params.ts';
import { readGrowing } from './growing-file.ts';
import type { ApplyLayerParams } from './layer-methods.ts';
import type { WorkerConfig } from './protocol.ts';
import { ThreadPool } from './thread-pool.ts';

/** Layers at a time: while one waits for the disk or for the network, another goes on. */
const AT_ONCE = 2;
/** With the 24 MiB that this process's main thread has for them, each thread would take 30 MB more. */
const YOUNG_MIB = 6;

/** A layer that has been unpacked and verified. */
export interface UnpackedLayer extends ExtractedFiles {
  readonly diffId: Digest;
}

/**
 * Unpacks layers in a pipeline: libuv's pool inflates, this thread hashes, and a thread of the pool writes files. A layer that
 * looks into one below waits there until that one is complete. For this, calls come in the order of layers, those below first;
 * they are begun in that order, so that nobody waits for one that has no thread.
 */
export class LayerUnpacks {
  /** Threads of their own: others would wait behind one that waits for a layer below. They make few objects, and need little memory. */
  readonly #threads: ThreadPool;
  readonly #limit = pLimit(AT_ONCE);
  /** By the directory that is filled. */
  readonly #unfinished = new Map<string, Completion>();

  constructor(config: WorkerConfig) {
    this.#threads = new ThreadPool(AT_ONCE, config, YOUNG_MIB);
  }

  /**
   * @returns undefined when a layer below, being unpacked at the same time, was needed and could not be had
   * @throws TsbuildError `TSB_ARCHIVE`, `TSB_DIGEST`; the directory is empty then
   */
  async unpack(params: ApplyLayerParams, signal: AbortSignal): Promise<UnpackedLayer | undefined> {
    const { target } = params;
    const work = completion();
    const unfinished = params.lowers.flatMap((lower) => this.#unfinished.get(lower) ?? []);
    this.#unfinished.set(target, work);
    let done: UnpackedLayer | undefined;
    try {
      done = await this.#limit(() => this.#pump(params, unfinished, signal));
      return done;
    } finally {
      complete(work, done !== undefined);
      if (this.#unfinished.get(target) === work) this.#unfinished.delete(target);
    }
  }

  async #pump(
    params: ApplyLayerParams,
    unfinished: readonly Completion[],
    signal: AbortSignal,
  ): Promise<UnpackedLayer | undefined> {
    const { blob, growing, compression, diffId, digest, size, target, lowers, windows } = params;
    signal.throwIfAborted();
    const tar = ringMemory();
    const writer = new RingWriter(tar);
    // Most are by now: a deep image would else post as many as it has layers with each of them.
    const waited = unfinished.filter((lower) => !isComplete(lower));
    const job: ExtractLayerParams = { tar, target, lowers, unfinished: waited, windows };
    const extracting = this.#threads.run('extractLayer', job, signal, () => undefined) as Promise<
      ExtractedFiles | undefined
    >;
    const gone = (): void => writer.readerIsGone();
    extracting.then(gone, gone);
    const source = growing === undefined ? blob : readGrowing([growing, blob], size, signal);
    // The content's digest says all that the blob's would.
    const expected = { size, ...(diffId === undefined ? { digest } : { diffId }) };
    try {
      const read = await readContent({ source, compression, signal, hashBlob: diffId === undefined }, (piece) =>
        writer.write(piece),
      );
      verifyContent(read, expected);
      writer.end(true);
      const files = await extracting;
      // The one below may only have been canceled with this one.
      if (!files) signal.throwIfAborted();
      return files && { diffId: read.diffId, ...files };
    } catch (error) {
      writer.end(false);
      // Nobody may use the directory before the thread has left it.
      const [ended] = await Promise.allSettled([extracting]);
      signal.throwIfAborted();
      if (!(error instanceof ReaderGone)) throw error;
      if (ended.status === 'rejected') throw ended.reason;
      return undefined;
    }
  }
}
