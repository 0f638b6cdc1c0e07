/** Bytes of a stream, collected as far as a decoder wants to see them at once. */
export class ByteSource {
  /** What was collected; `position` is where reading is. */
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #done = false;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** Bytes that can be read without waiting. */
  get available(): number {
    return this.buffer.length - this.position;
  }

  /** Collects at least `count` bytes; false when the stream ends before. */
  async ensure(count: number): Promise<boolean> {
    if (this.available >= count) return true;
    const parts: Uint8Array[] = [this.buffer.subarray(this.position)];
    let length = this.available;
    while (length < count && !this.#done) {
      const next = await this.#chunks.next();
      if (next.done) this.#done = true;
      else {
        // A chunk may be reused by its producer.
        parts.push(Buffer.from(next.value));
        length += next.value.length;
      }
    }
    this.buffer = Buffer.concat(parts);
    this.position = 0;
    return length >= count;
  }

  /** Ends the input early. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
