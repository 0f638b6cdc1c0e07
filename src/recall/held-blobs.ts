import { closeSync } from 'node:fs';
import type { AssembledImage, BlobSource } from '../exporter/index.ts';
import type { BlobDir } from '../store/index.ts';
import type { Digest } from '../util/index.ts';

/**
 * The layers of images, open from the beginning: a collection that runs beside us may remove their names, but not what we read. A lease
 * would hold them too, and takes longer.
 */
export class HeldBlobs implements BlobSource, Disposable {
  readonly #blobs: BlobDir;
  readonly #open = new Map<Digest, { readonly fd: number; readonly size: number }[]>();

  /** @throws TsbuildError `TSB_NOT_FOUND` when one is not there, with none left open */
  constructor(blobs: BlobDir, images: readonly AssembledImage[]) {
    this.#blobs = blobs;
    try {
      // Once for each image, as each is written by itself and closes what it has read.
      for (const { platforms } of images) {
        const digests = new Set(platforms.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
        for (const digest of digests) {
          const held = this.#open.get(digest) ?? [];
          held.push(blobs.openRead(digest));
          this.#open.set(digest, held);
        }
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The caller closes it. */
  openRead(digest: Digest): { readonly fd: number; readonly size: number } {
    return this.#open.get(digest)?.pop() ?? this.#blobs.openRead(digest);
  }

  isAsWritten(digest: Digest, fd: number): boolean {
    return this.#blobs.isAsWritten(digest, fd);
  }

  remove(digest: Digest): void {
    this.#blobs.remove(digest);
  }

  [Symbol.dispose](): void {
    for (const { fd } of [...this.#open.values()].flat()) closeSync(fd);
    this.#open.clear();
  }
}
