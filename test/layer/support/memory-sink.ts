import type { LayerSink } from '../../../src/layer/index.ts';
import { type Digest, sha256 } from '../../../src/util/index.ts';

/** Collects a blob in memory. */
export class MemorySink implements LayerSink {
  readonly #chunks: Buffer[] = [];
  state: 'open' | 'committed' | 'aborted' = 'open';

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(chunk: Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk));
  }

  commit(): { digest: Digest; size: number } {
    this.state = 'committed';
    return { digest: sha256(this.bytes), size: this.bytes.length };
  }

  abort(): void {
    this.state = 'aborted';
  }
}
