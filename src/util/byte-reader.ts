/** Reads bytes and numbers, big endian, from the front. Every method throws where there is less than it reads. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #malformed: new (why: string) => Error;
  #at = 0;

  /** @param malformed what is thrown, with a few words to follow a colon */
  constructor(bytes: Buffer, malformed: new (why: string) => Error) {
    this.#bytes = bytes;
    this.#malformed = malformed;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes: a view, not a copy. */
  take(length: number): Buffer {
    if (length > this.left) throw new this.#malformed('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  end(): void {
    if (this.left > 0) throw new this.#malformed('there is more than belongs there');
  }
}
