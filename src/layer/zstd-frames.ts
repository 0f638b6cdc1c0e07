import { COMPRESSION_MAGICS } from '../util/index.ts';

const MAGIC = Buffer.from(COMPRESSION_MAGICS.zstd).readUInt32LE();
const SKIPPABLE_MAGIC = 0x184d2a50;

/** The header that is read; what it announces is passed over. */
type Step = 'magic' | 'descriptor' | 'block-header' | 'checksum' | 'skippable-size';

/**
 * Finds where zstd frames end (RFC 8878 section 3.1) without decompressing. Node's decompressor drops what follows a
 * frame in the same chunk, but goes on when the next frame comes in a chunk of its own; blobs of many frames are
 * common (zstd:chunked, pzstd).
 */
export class ZstdFrameScanner {
  #step: Step = 'magic';
  #need = 4;
  #left = 0;
  readonly #header = Buffer.alloc(16);
  #have = 0;
  #checksum = false;
  #lastBlock = false;

  /** Cuts a chunk into pieces that end where a frame ends. Malformed input is passed on for the decompressor to report. */
  *split(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, chunk.length - at);
        this.#left -= count;
        at += count;
        if (this.#left > 0) break;
      } else {
        this.#header[this.#have++] = chunk[at++] as number;
        if (this.#have < this.#need) continue;
        this.#have = 0;
        this.#readHeader();
        if (this.#left > 0) continue;
      }
      if (this.#advance()) {
        yield chunk.subarray(start, at);
        start = at;
      }
    }
    if (start < chunk.length) yield chunk.subarray(start);
  }

  /** Interprets the header bytes that were collected: sets how much to pass over. */
  #readHeader(): void {
    const header = this.#header;
    switch (this.#step) {
      case 'skippable-size':
        this.#left = header.readUInt32LE(0);
        break;
      case 'descriptor': {
        const descriptor = header[0] as number;
        const single = (descriptor & 0x20) !== 0;
        this.#checksum = (descriptor & 0x04) !== 0;
        const sizeFlag = descriptor >> 6;
        const contentSize = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
        const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
        this.#left = (single ? 0 : 1) + dictionary + contentSize;
        break;
      }
      case 'block-header': {
        const value = header.readUIntLE(0, 3);
        this.#lastBlock = (value & 1) !== 0;
        // A run-length block holds one byte, whatever its size says.
        this.#left = ((value >> 1) & 3) === 1 ? 1 : value >> 3;
        break;
      }
      default:
    }
  }

  /** Goes to the next step once the current one is complete; true when a frame ended. */
  #advance(): boolean {
    switch (this.#step) {
      case 'magic': {
        const magic = this.#header.readUInt32LE(0);
        if (magic === MAGIC) this.#expect('descriptor', 1);
        else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) this.#expect('skippable-size', 4);
        else this.#left = Number.MAX_SAFE_INTEGER;
        return false;
      }
      case 'descriptor':
        this.#expect('block-header', 3);
        return false;
      case 'block-header':
        if (!this.#lastBlock) this.#expect('block-header', 3);
        else if (this.#checksum) this.#expect('checksum', 4);
        else return this.#end();
        return false;
      default:
        return this.#end();
    }
  }

  #expect(step: Step, need: number): void {
    this.#step = step;
    this.#need = need;
  }

  #end(): boolean {
    this.#expect('magic', 4);
    return true;
  }
}
