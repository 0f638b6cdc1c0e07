import { lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import {
  type ByteString,
  type ContextTree,
  isOldEnough,
  sameStat,
  toBigInts,
  toFsPath,
  type StatIdentity,
} from '../tree/index.ts';

/**
 * Larger contexts are not remembered. Looking at 60,000 files again takes 0.7 of the time that finding them in the cache takes, so that
 * memory pays at any size; but it keeps some 115 bytes of the index for each path, and up to 16 builds are kept.
 */
const MAX_PATHS = 200_000;
/** dev, ino, mode, size, mtime and ctime in ns. */
const COLUMNS = 6;

/** What a build looked at, as JSON: while it all holds, the build would look at the same. */
export interface Testimony {
  /** Directories as they were named, and what they were without symlinks. */
  readonly roots: readonly (readonly [named: string, real: ByteString])[];
  /** Absolute paths as byte strings, separated by NUL. Directories are among them, so that a new name in one shows. */
  readonly paths: string;
  /** base64 of `COLUMNS` 64-bit numbers for each path. */
  readonly stats: string;
  /** Small files with their texts. */
  readonly texts: readonly (readonly [path: string, text: string])[];
  /** Files that never change once they are there, with their bytes. */
  readonly sizes: readonly (readonly [path: string, size: number])[];
}

/** Takes down what a build looks at. */
export class Witness {
  readonly #startedMs: number;
  readonly #trees: (readonly [named: string, tree: ContextTree])[] = [];
  readonly #texts = new Map<string, string>();
  readonly #sizes = new Map<string, number>();
  #refused = false;

  /** @param startedMs ms since the epoch, before anything was looked at */
  constructor(startedMs: number) {
    this.#startedMs = Math.floor(startedMs);
  }

  /** A host directory: what the tree has read of it when the build ends. */
  tree(named: string, tree: ContextTree): void {
    this.#trees.push([named, tree]);
  }

  /** A small file whose text matters. */
  text(path: string, text: string): void {
    this.#texts.set(path, text);
  }

  /** A file that is written once, such as a blob: that it is there, with so many bytes, is all that matters. */
  size(path: string, size: number): void {
    this.#sizes.set(path, size);
  }

  /** Something was looked at, or done, that cannot be told again by looking at files: a server was asked, a step ran. */
  refuse(): void {
    this.#refused = true;
  }

  /** Undefined when something changed so lately, or during the build, that a further change could go unseen; or is too much. */
  testify(): Testimony | undefined {
    if (this.#refused) return undefined;
    const stats = new Map<ByteString, StatIdentity>();
    for (const [, tree] of this.#trees) {
      for (const [path, stat] of tree.seen()) {
        const known = stats.get(path);
        if (known ? !sameStat(known, stat) : !isOldEnough(stat, this.#startedMs)) return undefined;
        stats.set(path, stat);
      }
      if (stats.size > MAX_PATHS) return undefined;
    }
    const columns = new BigUint64Array(stats.size * COLUMNS);
    let at = 0;
    for (const stat of stats.values()) {
      columns.set(toBigInts(stat), at);
      at += COLUMNS;
    }
    return {
      roots: this.#trees.map(([named, tree]) => [named, tree.rootPath]),
      paths: [...stats.keys()].join('\0'),
      stats: Buffer.from(columns.buffer).toString('base64'),
      texts: [...this.#texts],
      sizes: [...this.#sizes],
    };
  }

  /** Whether everything is as it was. Never fails: what cannot be looked at is not as it was. */
  static holds({ roots, paths, stats, texts, sizes }: Testimony): boolean {
    try {
      return (
        texts.every(([path, text]) => readFileSync(path, 'utf8') === text) &&
        sizes.every(([path, size]) => statSync(path).size === size) &&
        roots.every(([named, real]) => realpathSync.native(named, 'latin1') === real) &&
        sameStats(paths === '' ? [] : paths.split('\0'), stats)
      );
    } catch {
      return false;
    }
  }
}

function sameStats(paths: readonly ByteString[], base64: string): boolean {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  const columns = new BigInt64Array(bytes.buffer);
  if (columns.length !== paths.length * COLUMNS) return false;
  return paths.every((path, index) => {
    const at = index * COLUMNS;
    const now = lstatSync(toFsPath(path), { bigint: true });
    return (
      now.ctimeNs === columns[at + 5] &&
      now.mtimeNs === columns[at + 4] &&
      now.ino === columns[at + 1] &&
      now.size === columns[at + 3] &&
      now.mode === columns[at + 2] &&
      now.dev === columns[at]
    );
  });
}
