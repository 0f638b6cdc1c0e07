import fs from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '../image/index.ts';
import { errnoOf, hexOf, isDigest, sha256 } from '../util/index.ts';
import { storeWriteError } from './write-error.ts';
import { writeFileDurably, type StoreLayout } from './layout.ts';
import type { StoredImage } from './types.ts';

/**
 * The local image store: one small file per name, so that names outlive the index. The blobs they point at are kept by
 * every prune; `remove` is the way to give them up.
 */
export class ImageTable {
  readonly #layout: StoreLayout;
  readonly #now: () => number;

  constructor(layout: StoreLayout, now: () => number) {
    this.#layout = layout;
    this.#now = now;
  }

  /** Points a name at an image. All its blobs must be in place and held by a lease. */
  put(name: string, descriptor: Descriptor): void {
    const image: StoredImage = { name, descriptor, createdAt: Math.floor(this.#now()) };
    const path = this.#path(name);
    // A build from the cache gives the same image again: nothing is to be made durable then.
    if (this.get(name)?.descriptor.digest === descriptor.digest) return;
    try {
      // Whatever stands in the file's place is damage, which only a directory would keep from being replaced.
      if (fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) fs.rmSync(path, { recursive: true });
      writeFileDurably(path, `${JSON.stringify(image)}\n`, this.#layout.root);
    } catch (error) {
      throw storeWriteError(error, path);
    }
  }

  /** Undefined when there is no image of that name, or its file is damaged. */
  get(name: string): StoredImage | undefined {
    return this.file(name)?.image;
  }

  /** An image with the file that says so; while that has this text, the name stands for the image. */
  file(name: string): { readonly image: StoredImage; readonly path: string; readonly text: string } | undefined {
    const path = this.#path(name);
    const text = readText(path);
    const image = text === undefined ? undefined : parseImage(text);
    return text !== undefined && image?.name === name ? { image, path, text } : undefined;
  }

  /** By name. A file that is damaged is left out; `check` reports it. */
  list(): readonly StoredImage[] {
    return this.files()
      .map((path) => this.#read(path))
      .filter((image) => image !== undefined)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @returns whether it was there. Its blobs stay until the next prune. */
  remove(name: string): boolean {
    try {
      fs.unlinkSync(this.#path(name));
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw storeWriteError(error, this.#path(name));
    }
  }

  /** Paths of all image files. */
  files(): readonly string[] {
    return fs
      .readdirSync(this.#layout.images)
      .sort()
      .map((name) => join(this.#layout.images, name));
  }

  /** What a file says, or undefined when it is damaged or not in its place. */
  parse(path: string): StoredImage | undefined {
    const image = this.#read(path);
    return image && this.#path(image.name) === path ? image : undefined;
  }

  /** Names have slashes and any length, so the file is named by their hash. */
  #path(name: string): string {
    return join(this.#layout.images, `${hexOf(sha256(name))}.json`);
  }

  #read(path: string): StoredImage | undefined {
    const text = readText(path);
    return text === undefined ? undefined : parseImage(text);
  }
}

function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Undefined for text that is not what `put` writes. */
function parseImage(text: string): StoredImage | undefined {
  try {
    const image = JSON.parse(text) as Partial<StoredImage> | null;
    const descriptor = image?.descriptor;
    if (typeof image?.name !== 'string' || !descriptor || !isDigest(descriptor.digest)) return undefined;
    if (typeof descriptor.mediaType !== 'string' || typeof descriptor.size !== 'number') return undefined;
    return { name: image.name, descriptor, createdAt: Number(image.createdAt) || 0 };
  } catch {
    return undefined;
  }
}
