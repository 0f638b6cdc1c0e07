import { readSync, writeSync } from 'node:fs';

const BUFFER_BYTES = 1 << 20;

/** Collects small writes. */
export class BufferedOutput {
  readonly #write: (bytes: Buffer) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;

  /** @param write takes all of what it gets, which is valid during the call */
  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  /** To an open file. */
  static ofFile(fd: number): BufferedOutput {
    return new BufferedOutput((bytes) => {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done);
    });
  }

  /** A place in the buffer that the caller fills: no copy in between. */
  reserve(length: number): { readonly buffer: Buffer; readonly offset: number } {
    if (this.#used + length > BUFFER_BYTES) this.flush();
    const offset = this.#used;
    this.#used += length;
    return { buffer: this.#buffer, offset };
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(bytes.length - done, BUFFER_BYTES - this.#used);
      this.#buffer.set(bytes.subarray(done, done + length), this.#used);
      this.#used += length;
      done += length;
      if (this.#used === BUFFER_BYTES) this.flush();
    }
  }

  /** Copies `size` bytes of a file; returns how many there were. */
  copy(from: number, size: number): number {
    let done = 0;
    while (done < size) {
      if (this.#used === BUFFER_BYTES) this.flush();
      const length = readSync(from, this.#buffer, this.#used, Math.min(size - done, BUFFER_BYTES - this.#used), null);
      if (length === 0) break;
      this.#used += length;
      done += length;
    }
    return done;
  }

  /** Writes what the buffer holds. */
  flush(): void {
    this.#write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
