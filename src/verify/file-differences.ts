import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readContent, TarReader } from '../layer/index.ts';
import type { ByteString } from '../tree/index.ts';
import type { ContentDifference } from './difference.ts';
import { ZEROS } from './file-hasher.ts';
import { withoutDots } from './layer-entries.ts';

/** Of so many files the bytes are looked at; of the others it is said that they differ. */
const MAX_FILES = 50;
/** Bytes of one file that are looked at. */
const MAX_BYTES = 256 * 1024 ** 2;
/** Bytes that are shown. */
const SHOWN = 24;

/** A layer's blob by its path. */
interface Blobs {
  readonly image: string;
  readonly rebuilt: string;
}

/**
 * Where files of two layers part. The first layer's files are put aside while it is read, as the second one may have them in another
 * order.
 * @param paths of files that both have and that differ, clean
 * @param temporary an existing directory to put them in
 */
export async function fileDifferences(
  blobs: Blobs,
  paths: readonly ByteString[],
  temporary: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<ByteString, ContentDifference>> {
  const wanted = new Map(paths.slice(0, MAX_FILES).map((path, index) => [path, String(index)]));
  const found = new Map<ByteString, ContentDifference>();
  if (wanted.size === 0) return found;
  const dir = mkdtempSync(join(temporary, 'compare-'));
  try {
    await readFiles(blobs.image, wanted.keys(), signal, (path) => new Keeper(join(dir, wanted.get(path) ?? '')));
    await readFiles(blobs.rebuilt, wanted.keys(), signal, (path) => {
      const comparer = new Comparer(join(dir, wanted.get(path) ?? ''));
      return {
        take: (chunk, offset) => comparer.take(chunk, offset),
        end: (size) => {
          const difference = comparer.end(size);
          if (difference) found.set(path, difference);
        },
      };
    });
    return found;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface FileTaker {
  take(chunk: Buffer, offset: number): void;
  /** @param size of the file: it may end with a hole */
  end(size: number): void;
}

/** Gives the content of some files of a layer to whoever takes them. */
async function readFiles(
  blob: string,
  paths: Iterable<ByteString>,
  signal: AbortSignal,
  open: (path: ByteString) => FileTaker,
): Promise<void> {
  const wanted = new Set(paths);
  let taker: FileTaker | undefined;
  const reader = new TarReader({
    entry(entry) {
      const path = withoutDots(entry.path);
      taker = entry.type === 'file' && wanted.has(path) ? open(path) : undefined;
    },
    data: (chunk, offset) => taker?.take(chunk, offset),
    end({ size }) {
      taker?.end(size);
      taker = undefined;
    },
  });
  await readContent({ source: blob, signal }, (piece) => reader.push(piece));
  reader.finish();
}

/** Writes a file's content to a file, holes as zeros. */
class Keeper implements FileTaker {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600);
  }

  take(chunk: Buffer, offset: number): void {
    const length = lookedAt(chunk, offset);
    for (let done = 0; done < length;) done += writeSync(this.#fd, chunk, done, length - done, offset + done);
  }

  end(size: number): void {
    ftruncateSync(this.#fd, Math.min(size, MAX_BYTES));
    closeSync(this.#fd);
  }
}

/** Compares a file's content with what was kept. */
class Comparer implements FileTaker {
  readonly #fd: number;
  #size = 0;
  /** Where they part; undefined as long as they do not. */
  #at: number | undefined;
  /** What the rebuilt one has there, from one piece or several. */
  #rebuilt: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  take(chunk: Buffer, offset: number): void {
    this.#skipTo(offset);
    this.#compare(chunk);
  }

  end(size: number): ContentDifference | undefined {
    try {
      this.#skipTo(size);
      if (this.#at === undefined && this.#size >= MAX_BYTES) return undefined;
      // Or the rebuilt one ended first.
      const offset = this.#at ?? this.#size;
      const image = this.#kept(offset, SHOWN);
      if (this.#at === undefined && image.length === 0) return undefined;
      return { offset, image: escaped(image), rebuilt: escaped(this.#rebuilt) };
    } finally {
      closeSync(this.#fd);
    }
  }

  /** A hole is compared as the zeros that it is read as. */
  #skipTo(offset: number): void {
    while (this.#size < offset && !this.#isSettled()) this.#compare(ZEROS.subarray(0, offset - this.#size));
    this.#size = offset;
  }

  /** Whether nothing that is still to come matters. */
  #isSettled(): boolean {
    return this.#at === undefined ? this.#size >= MAX_BYTES : this.#rebuilt.length >= SHOWN;
  }

  #compare(chunk: Buffer): void {
    const offset = this.#size;
    this.#size += chunk.length;
    let rest = chunk;
    if (this.#at === undefined) {
      const looked = chunk.subarray(0, lookedAt(chunk, offset));
      const at = firstDifference(looked, this.#kept(offset, looked.length));
      if (at === undefined) return;
      this.#at = offset + at;
      rest = chunk.subarray(at);
    }
    if (this.#rebuilt.length < SHOWN)
      this.#rebuilt = Buffer.concat([this.#rebuilt, rest.subarray(0, SHOWN - this.#rebuilt.length)]);
  }

  /** What the image has there, as far as it goes. */
  #kept(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, offset));
  }
}

/** Bytes of a piece that are looked at. */
function lookedAt(chunk: Buffer, offset: number): number {
  return Math.max(0, Math.min(chunk.length, MAX_BYTES - offset));
}

function firstDifference(a: Buffer, b: Buffer): number | undefined {
  if (a.equals(b)) return undefined;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at;
  return length;
}

/** Bytes as text that is safe to show. */
function escaped(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/[^ -~]|\\/g, (char) => {
    if (char === '\n') return '\\n';
    return char === '\\' ? '\\\\' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
