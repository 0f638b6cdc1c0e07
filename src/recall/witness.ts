import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import {
  type ByteString,
  type ContextTree,
  isOldEnough,
  sameStat,
  type Sighting,
  sightings,
  toBigInts,
  toByteString,
  toFsPath,
  type StatIdentity,
} from '../tree/index.ts';

/**
 * Larger contexts are not remembered. Looking at 60,000 files again takes 0.7 of the time that finding them in the cache takes, so that
 * memory pays at any size; but it keeps some 115 bytes of the index for each path, and up to 16 builds are kept.
 */
const MAX_PATHS = 200_000;
/**
 * Larger ones only by a build that found no file changed: taking them down costs some 70 ms for 20,000, which who edits and builds would
 * pay each time and never get back.
 */
const MAX_PATHS_OF_NEWS = 5000;
/** dev, ino, mode, size, mtime and ctime in ns. */
const COLUMNS = 6;

/** What a build looked at, as JSON: while it all holds, the build would look at the same. */
export interface Testimony {
  /** Directories as they were named, and what they were without symlinks. */
  readonly roots: readonly (readonly [named: string, real: ByteString])[];
  /** Absolute paths as byte strings, separated by NUL. Directories are among them where a new name in one would matter. */
  readonly paths: string;
  /** base64 of `COLUMNS` 64-bit numbers for each path. */
  readonly stats: string;
  /** Directories that names were looked up in, with dev, ino and mode: only another directory there would matter. */
  readonly places: readonly (readonly [path: ByteString, identity: string])[];
  /** Paths where nothing was. */
  readonly absent: readonly ByteString[];
  /** Directories that the build writes to: the names there besides those `written`, each list sorted and separated by `/`. */
  readonly names: readonly (readonly [path: ByteString, names: ByteString, written: ByteString])[];
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
  #hasNews = false;

  /** @param startedMs ms since the epoch, before anything was looked at */
  constructor(startedMs: number) {
    this.#startedMs = Math.floor(startedMs);
  }

  /** Files of a host directory had changed since the last build. */
  news(): void {
    this.#hasNews = true;
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

  /**
   * Undefined when something changed so lately, or during the build, that a further change could go unseen; or is too much.
   * @param written files that the build wrote after all of that was looked at
   */
  testify(written: readonly string[] = []): Testimony | undefined {
    if (this.#refused) return undefined;
    const outputs = written.flatMap(realPath);
    const stats = new Map<ByteString, StatIdentity>();
    const places = new Map<ByteString, string>();
    const absent = new Set<ByteString>();
    const names = new Map<ByteString, Extract<Sighting, { kind: 'names' }>>();
    for (const [, tree] of this.#trees) {
      for (const seen of sightings(tree, outputs)) {
        if (seen.kind === 'absent') absent.add(seen.path);
        else if (seen.kind === 'names') names.set(`${seen.path}/${names.size}`, seen);
        else if (seen.kind === 'place') {
          const identity = identityOf(toBigInts(seen.stat));
          if ((places.get(seen.path) ?? identity) !== identity) return undefined;
          places.set(seen.path, identity);
        } else {
          const known = stats.get(seen.path);
          if (known ? !sameStat(known, seen.stat) : !isOldEnough(seen.stat, this.#startedMs)) return undefined;
          stats.set(seen.path, seen.stat);
          if (this.#hasNews && stats.size > MAX_PATHS_OF_NEWS) return undefined;
        }
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
      places: [...places],
      absent: [...absent],
      names: [...names.values()].map((seen) => [seen.path, inOrder(seen.names), inOrder(seen.written)]),
      texts: [...this.#texts],
      sizes: [...this.#sizes],
    };
  }

  /** Whether everything is as it was. Never fails: what cannot be looked at is not as it was. */
  static holds({ roots, paths, stats, places, absent, names, texts, sizes }: Testimony): boolean {
    try {
      return (
        texts.every(([path, text]) => readFileSync(path, 'utf8') === text) &&
        sizes.every(([path, size]) => statSync(path).size === size) &&
        roots.every(([named, real]) => realpathSync.native(named, 'latin1') === real) &&
        places.every(([path, identity]) => placeAt(path) === identity) &&
        absent.every((path) => lstatSync(toFsPath(path), { throwIfNoEntry: false }) === undefined) &&
        names.every(([path, others, written]) => namesAt(path, written) === others) &&
        sameStats(paths === '' ? [] : paths.split('\0'), stats)
      );
    } catch {
      return false;
    }
  }
}

/** Where a file lies that was just written, without symlinks; nothing of one that is not there. */
function realPath(path: string): ByteString[] {
  try {
    return [realpathSync.native(toFsPath(toByteString(path)), 'latin1')];
  } catch {
    return [];
  }
}

/** Of the columns of a status, those that tell one directory from another. */
function identityOf([dev, ino, mode]: readonly bigint[]): string {
  return `${dev} ${ino} ${mode}`;
}

function placeAt(path: ByteString): string {
  const { dev, ino, mode } = lstatSync(toFsPath(path), { bigint: true });
  return identityOf([dev, ino, mode]);
}

function namesAt(path: ByteString, written: ByteString): ByteString {
  const own = new Set(written.split('/'));
  return inOrder(readdirSync(toFsPath(path), 'latin1').filter((name) => !own.has(name)));
}

function inOrder(names: readonly ByteString[]): ByteString {
  return names.toSorted().join('/');
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
