import { createReadStream } from 'node:fs';
import type { BlobDir } from '../store/index.ts';
import { type Digest, Hasher } from '../util/index.ts';

/** Bodies of the store that a build has looked through: whoever damaged one on disk, no step gets it. Each is read once in a build. */
export class WholeBodies {
  readonly #blobs: BlobDir;
  readonly #looks = new Map<Digest, Promise<boolean>>();

  constructor(blobs: BlobDir) {
    this.#blobs = blobs;
  }

  /** Whether the store has a body with these bytes. One that is not what its name says is removed, so that it is fetched again. */
  async has(digest: Digest, size: number): Promise<boolean> {
    if (!this.#blobs.has(digest, size)) return false;
    const look = this.#looks.get(digest) ?? this.#look(digest);
    this.#looks.set(digest, look);
    return look;
  }

  async #look(digest: Digest): Promise<boolean> {
    if (await this.#isWhole(digest)) return true;
    this.#looks.delete(digest);
    this.#blobs.remove(digest);
    return false;
  }

  async #isWhole(digest: Digest): Promise<boolean> {
    try {
      const { fd } = this.#blobs.openRead(digest);
      const stream = createReadStream('', { fd, highWaterMark: 1 << 20 });
      if (this.#blobs.isAsWritten(digest, fd)) {
        stream.destroy();
        return true;
      }
      const hasher = new Hasher();
      for await (const chunk of stream) hasher.update(chunk as Buffer);
      return hasher.digest() === digest;
    } catch {
      return false;
    }
  }
}
