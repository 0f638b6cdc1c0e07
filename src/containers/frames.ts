/** Bytes of a frame before what it carries: a byte for its kind, and the length of that (native/src/frame.c). */
const HEADER = 5;

/** What a supervisor says and is asked for: one letter and bytes. */
export interface Frame {
  readonly kind: string;
  readonly data: Buffer;
}

/** A frame as bytes. */
export function encodeFrame(kind: string, data: Uint8Array | string = ''): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const header = Buffer.alloc(HEADER);
  header.write(kind, 'latin1');
  header.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

/** Frames out of a stream's pieces. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are whole by now. */
  *take(piece: Buffer): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (this.#rest.length >= HEADER) {
      const end = HEADER + this.#rest.readUInt32LE(1);
      if (this.#rest.length < end) return;
      yield { kind: String.fromCharCode(this.#rest[0] ?? 0), data: this.#rest.subarray(HEADER, end) };
      this.#rest = this.#rest.subarray(end);
    }
  }
}
