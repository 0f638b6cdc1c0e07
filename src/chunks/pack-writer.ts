import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { sha256 } from '../util/index.ts';
import type { Pack } from './tree.ts';

/**
 * Content of a pack, in bytes. Services count requests, GitHub's a few hundred in five minutes: with this, 300 MB are ten objects, and half of
 * a pack that is out of use is not too much to be kept.
 */
export const PACK_LENGTH: number = 32 << 20;

/** A pack that is in a file, to be sent. */
export interface WrittenPack extends Pack {
  readonly path: string;
}

/** Gathers chunks into packs, each a file of a directory. */
export class PackWriter {
  readonly packs: WrittenPack[] = [];
  readonly #dir: string;
  readonly #first: number;
  #chunks: Buffer[] = [];
  #length = 0;

  /** @param first number of the first pack that is written */
  constructor(dir: string, first: number) {
    this.#dir = dir;
    this.#first = first;
  }

  /** Takes a chunk, whose bytes are only valid until it returns. @returns where it is going to be */
  add(bytes: Buffer): { readonly pack: number; readonly offset: number } {
    if (this.#length > 0 && this.#length + bytes.length > PACK_LENGTH) this.finish();
    const at = { pack: this.#first + this.packs.length, offset: this.#length };
    this.#chunks.push(Buffer.from(bytes));
    this.#length += bytes.length;
    return at;
  }

  /** Writes what was gathered. */
  finish(): void {
    if (this.#length === 0) return;
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    const bytes = zstdCompressSync(Buffer.concat(this.#chunks, this.#length), { params });
    const path = join(this.#dir, `pack-${this.packs.length}`);
    writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
    this.packs.push({ path, digest: sha256(bytes), size: bytes.length, length: this.#length });
    this.#chunks = [];
    this.#length = 0;
  }
}
