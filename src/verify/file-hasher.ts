import { type Digest, Hasher } from '../util/index.ts';

/** Zeros of one layer's holes that are hashed, in bytes: a sparse file of a few blocks can claim to be terabytes large. */
export const MAX_ZEROS: number = 1024 ** 3;
/** What a hole is read as, piece by piece. */
export const ZEROS: Buffer = Buffer.alloc(65_536);

/**
 * The digest of a file whose content comes piece by piece, with its holes: the same whether zeros stand in the archive or are left out of
 * it, as builders and file systems differ in that. Once holes of a layer have taken `MAX_ZEROS`, their lengths are hashed in place of zeros.
 */
export class FileHasher {
  readonly #hasher = new Hasher();
  readonly #zeros: { left: number };
  #size = 0;

  /** @param zeros what the holes of a layer may still take, for all of its files */
  constructor(zeros: { left: number }) {
    this.#zeros = zeros;
  }

  /** @param offset of the chunk in the file, not before the end of the last one */
  take(chunk: Buffer, offset: number): void {
    this.#skipTo(offset);
    this.#hasher.update(chunk);
    this.#size += chunk.length;
  }

  /** @param size of the file: it may end with a hole */
  end(size: number): Digest {
    this.#skipTo(size);
    return this.#hasher.digest();
  }

  #skipTo(offset: number): void {
    const hole = offset - this.#size;
    this.#size = offset;
    if (hole > this.#zeros.left) this.#hasher.update(`hole of ${hole}`);
    else {
      this.#zeros.left -= hole;
      for (let left = hole; left > 0; left -= ZEROS.length) this.#hasher.update(ZEROS.subarray(0, left));
    }
  }
}
