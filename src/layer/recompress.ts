import type { Compression } from '../image/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import { decompress, readChunks } from './decompress.ts';
import { type EncodedLayer, LayerEncoder } from './layer-encoder.ts';
import type { LayerCompression, LayerSink } from './sink.ts';

/** A layer blob, what it must be, and what it becomes. */
export interface RecompressOptions {
  /** Path of the blob, and what it is compressed with. */
  readonly blob: string;
  readonly compression: Compression;
  /** What its content must hash to. */
  readonly diffId: Digest;
  readonly to: LayerCompression;
  readonly sink: LayerSink;
  readonly signal?: AbortSignal;
}

/**
 * Writes a layer blob with the same content in another compression. The content stays byte for byte, and with it the diffID: what
 * others packed cannot be packed again to the same bytes.
 * @throws TsbuildError `TSB_ARCHIVE` for a damaged blob, and nothing is left in the sink then; `TSB_DIGEST` for one with other content
 */
export async function recompressLayer(options: RecompressOptions): Promise<EncodedLayer> {
  const { blob, compression, diffId, to, sink, signal } = options;
  const encoder = new LayerEncoder(sink, to);
  try {
    for await (const chunk of decompress(readChunks(blob), compression)) {
      signal?.throwIfAborted();
      encoder.write(chunk);
      if (encoder.congested) await encoder.ready();
    }
  } catch (error) {
    encoder.abort();
    throw error;
  }
  const encoded = await encoder.finish();
  if (encoded.diffId !== diffId)
    throw new TsbuildError('TSB_DIGEST', `Cannot compress a layer anew: its content is not ${diffId}`);
  return encoded;
}
