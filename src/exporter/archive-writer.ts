import { type Pack, pack } from 'tar-stream';
import type { ByteSink } from './sink.ts';

/** Everything in an archive around blobs has this time, so that the same images give the same bytes. */
const MTIME = new Date(0);

/**
 * Writes the tar around blobs, with tar-stream: few entries, most of their bytes in large ones. Layers, which have many small
 * entries, have a writer of their own (layer/tar-writer).
 *
 * One chunk is under way at a time: a content's buffer may be filled again as soon as `write` resolves, however the streams
 * in between buffer, and memory does not grow with the archive. Dispose ends what was not finished.
 */
export class ArchiveWriter implements AsyncDisposable {
  readonly #pack: Pack = pack();
  /** Ends when the archive does; rejects with what the sink threw. */
  readonly #pump: Promise<void>;
  /** What `write` waits for. */
  #pending: { readonly chunk: Uint8Array; readonly passed: () => void } | undefined;

  constructor(sink: ByteSink) {
    this.#pump = this.#run(sink);
    // Whoever waits next gets to know of it.
    this.#pump.catch(() => undefined);
  }

  /** @param path without a slash at the end */
  async directory(path: string): Promise<void> {
    await this.#entry({ name: `${path}/`, type: 'directory', mode: 0o755 }, async () => undefined);
  }

  /**
   * Adds a file of `size` bytes.
   * @param fill writes exactly as many, chunk by chunk
   */
  async file(
    path: string,
    size: number,
    fill: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    await this.#entry({ name: path, type: 'file', mode: 0o444, size }, fill);
  }

  /** The end marker; resolves when the sink has taken everything. */
  async end(): Promise<void> {
    this.#pack.finalize();
    await this.#pump;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pack.destroy(new Error('the archive was given up'));
    await this.#pump.catch(() => undefined);
  }

  async #entry(
    header: Parameters<Pack['entry']>[0],
    fill: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    // The sink failed with what was written last: that is to be told.
    if (this.#pack.destroying) await this.#pump;
    const ended = Promise.withResolvers<void>();
    const entry = this.#pack.entry({ ...header, mtime: MTIME }, (error) => {
      if (error) ended.reject(error);
      else ended.resolve();
    });
    // It tells the callback as well; an error event that nobody listens to would end the process.
    entry.on('error', () => undefined);
    ended.promise.catch(() => undefined);
    await fill(async (chunk) => {
      if (chunk.length === 0) return;
      const passed = new Promise<void>((resolve) => {
        this.#pending = { chunk, passed: resolve };
      });
      entry.write(chunk);
      await this.#unlessBroken(passed);
    });
    entry.end(null);
    await this.#unlessBroken(ended.promise);
  }

  /** The sink's own error is the one to tell, not that of the streams that end because of it. */
  async #unlessBroken(step: Promise<void>): Promise<void> {
    await Promise.race([step.catch(async () => this.#pump), this.#pump]);
  }

  async #run(sink: ByteSink): Promise<void> {
    for await (const chunk of this.#pack as AsyncIterable<Uint8Array>) {
      await sink.write(chunk);
      // Streams hand on the very object that was written, between headers and padding of their own.
      if (this.#pending?.chunk !== chunk) continue;
      const { passed } = this.#pending;
      this.#pending = undefined;
      passed();
    }
  }
}
