import { sha256 } from '../util/index.ts';
import { quote } from './byte-string.ts';
import { type EncodedLayer, LayerEncoder } from './layer-encoder.ts';
import { type EntrySink, type LayerEntry, writeEntries } from './layer-entry.ts';
import { OpenContent } from './open-content.ts';
import type { LayerCompression, LayerSink } from './sink.ts';
import { TarWriter } from './tar-writer.ts';
import { toWindowsEntry, WINDOWS_PREFACE } from './windows-form.ts';

/** The form of the blob. */
export interface WriteLayerOptions {
  readonly compression: LayerCompression;
  /** Times after this many seconds since the epoch become it (SOURCE_DATE_EPOCH). */
  readonly clampTime?: number | undefined;
  /** Earlier ones become it too, after this many seconds since the epoch. Default: `clampTime`. */
  readonly clampAfter?: number | undefined;
  /** Write the form that layers of Windows images have. */
  readonly windows?: boolean;
  readonly signal?: AbortSignal;
  /** Told when all contents were read, while the last of them are still being compressed. */
  readonly onRead?: () => void;
}

/**
 * Writes a layer blob straight from a list of entries (see `writeEntries`); nothing is put on disk but the blob.
 * @throws TsbuildError `TSB_CHANGED` when a file is shorter than stated, or its content is not that of its digest
 */
export async function writeLayerFromEntries(
  entries: Iterable<LayerEntry | undefined>,
  sink: LayerSink,
  options: WriteLayerOptions,
): Promise<EncodedLayer> {
  return writeEntries(entries, new LayerWriter(sink, options), options);
}

/** A layer blob in the making: entries in, one tar out. Contents are copied as fast as compression takes them. */
export class LayerWriter implements EntrySink<EncodedLayer> {
  readonly #encoder: LayerEncoder;
  readonly #tar: TarWriter;
  readonly #options: WriteLayerOptions;
  #open: OpenContent | undefined;

  constructor(sink: LayerSink, options: WriteLayerOptions) {
    this.#options = options;
    this.#encoder = new LayerEncoder(sink, options.compression);
    this.#tar = new TarWriter(this.#encoder);
    if (options.windows) for (const entry of WINDOWS_PREFACE) this.#tar.header(entry);
  }

  add(entry: LayerEntry): boolean {
    if (entry.path === '') return true;
    const { clampTime, clampAfter = Infinity, windows } = this.#options;
    const { content } = entry;
    const late = clampTime !== undefined && (entry.mtime?.sec ?? 0) > Math.min(clampTime, clampAfter);
    const bytes = content instanceof Uint8Array ? content : undefined;
    const size = entry.type === 'file' ? (bytes?.length ?? entry.size ?? 0) : 0;
    const asIs = !late && size === entry.size;
    const stated = asIs ? entry : { ...entry, size, ...(late ? { mtime: { sec: clampTime } } : {}) };
    this.#tar.header(windows ? toWindowsEntry(stated) : stated);
    if (size > 0) {
      if (bytes) {
        this.#encoder.write(bytes);
        this.#tar.pad(size);
      } else if (content && !(content instanceof Uint8Array)) {
        this.#open = new OpenContent(entry, content, size);
        this.#pump();
      } else throw new RangeError(`The file ${quote(entry.path)} has a size and no content`);
    } else if (content && 'onDigest' in content) content.onDigest?.(sha256(''));
    return this.#open === undefined && !this.#encoder.congested;
  }

  async rest(): Promise<void> {
    for (;;) {
      this.#options.signal?.throwIfAborted();
      await this.#encoder.ready();
      if (!this.#open) return;
      this.#pump();
    }
  }

  /** The end marker, and the blob's commit. */
  async finish(): Promise<EncodedLayer> {
    try {
      this.#tar.end();
    } catch (error) {
      this.abort();
      throw error;
    }
    return this.#encoder.finish();
  }

  abort(): void {
    this.#close();
    this.#encoder.abort();
  }

  /** Copies content until it is complete or the encoder is congested. */
  #pump(): void {
    const open = this.#open;
    if (!open) return;
    while (!open.isComplete) {
      const { buffer, offset, length } = this.#encoder.room();
      this.#encoder.advance(open.read(buffer, offset, length));
      if (!open.isComplete && this.#encoder.congested) return;
    }
    this.#close();
    open.check();
    this.#tar.pad(open.size);
  }

  #close(): void {
    this.#open?.close();
    this.#open = undefined;
  }
}
