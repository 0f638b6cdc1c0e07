import type { Digest } from '../util/index.ts';

export type { LayerCompression } from '../image/index.ts';

/** Where a finished blob goes, chunk by chunk: a `BlobWriter` of the store, or anything like it. */
export interface LayerSink {
  /** The chunk is only valid during the call. */
  write(chunk: Uint8Array): void;
  /** Makes the blob visible under its digest. */
  commit(): CommittedBlob | Promise<CommittedBlob>;
  /** Leaves nothing behind. */
  abort(): void;
}

/** A blob that is where it belongs. */
export interface CommittedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Blocks of this size are compressed one by one; fixed, since the bytes of a gzip blob depend on it. */
export const BLOCK_BYTES: number = 1 << 20;

/** Takes blocks and writes their compressed form to a sink, in order. */
export interface BlockEncoder {
  /** Takes a block of `BLOCK_BYTES`, and owns it until it calls `release`. */
  push(block: Buffer): void;
  /** Takes the last block, of 0 to `BLOCK_BYTES` bytes. Resolves when all is written. */
  finish(block: Buffer): Promise<void>;
  /** Whether so much is under way that the producer should await `ready`. */
  readonly congested: boolean;
  /** @throws what the compressor or the sink threw */
  ready(): Promise<void>;
}
