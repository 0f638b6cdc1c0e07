import type { CommittedBlob, LayerSink } from '../layer/index.ts';
import { BlobDir, type BlobWriter } from '../store/index.ts';
import type { HandlerContext } from './handler-context.ts';

/** Bytes that are kept in memory until it is known what blob they are. */
const SMALL = 64 * 1024;

/**
 * A new blob of the store for a layer. The disk is waited for beside other work of this thread, such as steps. A small one that the store
 * has is not written again, as are the layers of all steps that change nothing.
 */
export function layerSink({ config }: HandlerContext): LayerSink {
  const { session, storeRoot } = config;
  // Under the main process's session.
  return new StoreSink(new BlobDir(storeRoot, session === undefined ? undefined : () => session));
}

class StoreSink implements LayerSink {
  readonly #blobs: BlobDir;
  #kept: Uint8Array[] = [];
  #size = 0;
  /** From when there is more than is kept. */
  #writer: BlobWriter | undefined;

  constructor(blobs: BlobDir) {
    this.#blobs = blobs;
  }

  write(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size <= SMALL) {
      this.#kept.push(Uint8Array.from(chunk));
      return;
    }
    const writer = (this.#writer ??= this.#blobs.ingest());
    for (const kept of this.#kept) writer.write(kept);
    this.#kept = [];
    writer.write(chunk);
  }

  commit(): Promise<CommittedBlob> {
    return this.#writer?.commitBeside() ?? this.#blobs.putBeside(Buffer.concat(this.#kept));
  }

  abort(): void {
    this.#writer?.abort();
  }
}
