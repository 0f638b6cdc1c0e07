import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { FileState } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';
import { type Digest, isDigest } from '../util/index.ts';

/** A piece of content as this machine knows it. */
export interface KnownChunk {
  readonly digest: Digest;
  /** Bytes. */
  readonly length: number;
  /** @see Print */
  readonly print: string;
}

/** A file as it was when it was last looked at. */
export interface KnownFile {
  /** @see identityOf; `''` for one that could have changed since without a trace */
  readonly identity: string;
  readonly chunks: readonly KnownChunk[];
}

const MAX_BYTES = 256 << 20;

/** What shows whether a file changed: no program can set the time of the last change of its inode. */
export function identityOf(stat: FileState): string {
  const { inoHigh, inoLow, size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, mode } = stat;
  return [inoHigh, inoLow, size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec, mode].join(' ');
}

/**
 * What is remembered of a directory beside it, so that the next look reads only what changed since. It is a file of the store, and
 * believed as that; without it, or when it is damaged, everything is read.
 */
export class Memory {
  readonly #files: ReadonlyMap<ByteString, KnownFile>;
  readonly #byPrint: ReadonlyMap<string, KnownChunk>;

  constructor(files: ReadonlyMap<ByteString, KnownFile> = new Map()) {
    this.#files = files;
    this.#byPrint = new Map([...files.values()].flatMap(({ chunks }) => chunks.map((chunk) => [chunk.print, chunk])));
  }

  static read(path: string): Memory {
    try {
      return new Memory(parse(zstdDecompressSync(readFileSync(path), { maxOutputLength: MAX_BYTES }).toString()));
    } catch {
      return new Memory();
    }
  }

  /** What a file has, if it is the same as then. */
  unchanged(path: ByteString, stat: FileState): readonly KnownChunk[] | undefined {
    const known = this.#files.get(path);
    return known !== undefined && known.identity !== '' && known.identity === identityOf(stat)
      ? known.chunks
      : undefined;
  }

  /** A chunk that looks so: its digest need not be made again. */
  similar(print: string): KnownChunk | undefined {
    return this.#byPrint.get(print);
  }
}

/** Writes what is known now; the file is replaced as a whole. */
export function writeMemory(path: string, files: ReadonlyMap<ByteString, KnownFile>): void {
  const chunks = new Map<Digest, { readonly at: number; readonly chunk: KnownChunk }>();
  const rows = [...files].map(([name, { identity, chunks: own }]) => {
    const numbers = own.map((chunk) => {
      const known = chunks.get(chunk.digest) ?? { at: chunks.size, chunk };
      chunks.set(chunk.digest, known);
      return known.at;
    });
    return [name, identity, numbers];
  });
  const table = [...chunks.values()].map(({ chunk: { digest, length, print } }) => [digest, length, print]);
  const beside = `${path}.new`;
  writeFileSync(beside, zstdCompressSync(JSON.stringify({ version: 1, chunks: table, files: rows })), { mode: 0o600 });
  renameSync(beside, path);
}

function parse(text: string): ReadonlyMap<ByteString, KnownFile> {
  const document = JSON.parse(text) as {
    readonly version: number;
    readonly chunks: readonly (readonly [Digest, number, string])[];
    readonly files: readonly (readonly [ByteString, string, readonly number[]])[];
  };
  if (document.version !== 1) return new Map();
  const chunks = document.chunks.map(([digest, length, print]): KnownChunk => {
    if (!isDigest(digest)) throw new Error('no digest');
    return { digest, length, print };
  });
  return new Map(
    document.files.map(([name, identity, numbers]) => [
      name,
      { identity, chunks: numbers.map((number) => chunks[number]).filter((chunk) => chunk !== undefined) },
    ]),
  );
}
