/** A byte for the kind of a frame and four for the length of what it carries, as native/src/frame.c writes them. */
const HEADER = 5;

/** Takes the frames of a step out of pieces of a stream, however they are cut. */
export class FrameReader {
  readonly #take: (kind: string, data: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  /** @param take gets whole frames, in order */
  constructor(take: (kind: string, data: Buffer) => void) {
    this.#take = take;
  }

  /** The next piece of the stream. */
  push(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= HEADER) {
      const end = HEADER + rest.readUInt32LE(1);
      if (rest.length < end) break;
      this.#take(String.fromCharCode(rest[0] ?? 0), rest.subarray(HEADER, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }
}
