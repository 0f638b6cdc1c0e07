import { closeSync, constants, lstatSync, openSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { O_PATH } from '../sys/index.ts';
import {
  type ByteString,
  type ContextTree,
  isOldEnough,
  lookUp,
  putState,
  sameStat,
  type Sighting,
  sightings,
  stateRows,
  stateSum,
  toByteString,
  toFsPath,
  toHostStat,
  type HostStat,
} from '../tree/index.ts';

/** Larger contexts are not remembered, for the index keeps the names of their files, and up to 16 builds are kept. */
const MAX_PATHS = 200_000;
/** Larger ones only by a build that found no file changed: who edits and builds would pay for taking them down and never get it back. */
const MAX_PATHS_OF_NEWS = 5000;

/** What a build looked at, as JSON: while it all holds, the build would look at the same. */
export interface Testimony {
  /** Directories as they were named, and what they were without symlinks. */
  readonly roots: readonly (readonly [named: string, real: ByteString])[];
  /**
   * What lies in a directory: names, separated by `/`, and the `stateSum` of their states. Directories are among them where a new name in
   * one would matter.
   */
  readonly states: readonly (readonly [directory: ByteString, names: ByteString, sum: string])[];
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
    const stats = new Map<ByteString, HostStat>();
    const places = new Map<ByteString, string>();
    const absent = new Set<ByteString>();
    const names = new Map<ByteString, Extract<Sighting, { kind: 'names' }>>();
    for (const [, tree] of this.#trees) {
      for (const seen of sightings(tree, outputs)) {
        if (seen.kind === 'absent') absent.add(seen.path);
        else if (seen.kind === 'names') names.set(`${seen.path}/${names.size}`, seen);
        else if (seen.kind === 'place') {
          const identity = identityOf(seen.stat);
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
    return {
      roots: this.#trees.map(([named, tree]) => [named, tree.rootPath]),
      states: summed(stats),
      places: [...places],
      absent: [...absent],
      names: [...names.values()].map((seen) => [seen.path, inOrder(seen.names), inOrder(seen.written)]),
      texts: [...this.#texts],
      sizes: [...this.#sizes],
    };
  }

  /** Whether everything is as it was. Never fails: what cannot be looked at is not as it was. */
  static holds({ roots, states, places, absent, names, texts, sizes }: Testimony): boolean {
    try {
      return (
        texts.every(([path, text]) => readFileSync(path, 'utf8') === text) &&
        sizes.every(([path, size]) => statSync(path).size === size) &&
        roots.every(([named, real]) => realpathSync.native(named, 'latin1') === real) &&
        places.every(([path, identity]) => placeAt(path) === identity) &&
        absent.every((path) => lstatSync(toFsPath(path), { throwIfNoEntry: false }) === undefined) &&
        names.every(([path, others, written]) => namesAt(path, written) === others) &&
        areAsSummed(states)
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

/** What tells one directory from another. */
function identityOf({ devMajor, devMinor, inoHigh, inoLow, mode }: HostStat): string {
  return `${devMajor}:${devMinor} ${inoHigh}:${inoLow} ${mode}`;
}

function placeAt(path: ByteString): string {
  return identityOf(toHostStat(lstatSync(toFsPath(path), { bigint: true })));
}

function namesAt(path: ByteString, written: ByteString): ByteString {
  const own = new Set(written.split('/'));
  return inOrder(readdirSync(toFsPath(path), 'latin1').filter((name) => !own.has(name)));
}

function inOrder(names: readonly ByteString[]): ByteString {
  return names.toSorted().join('/');
}

/** States by the directories that they are in, each in the order in which its first name came. */
function summed(stats: ReadonlyMap<ByteString, HostStat>): Testimony['states'] {
  const directories = new Map<ByteString, [name: ByteString, stat: HostStat][]>();
  for (const [path, stat] of stats) {
    const slash = path.lastIndexOf('/');
    const directory = path.slice(0, slash) || '/';
    const known = directories.get(directory);
    const entry: [ByteString, HostStat] = [path.slice(slash + 1) || '.', stat];
    if (known === undefined) directories.set(directory, [entry]);
    else known.push(entry);
  }
  return [...directories].map(([path, entries]) => {
    const rows = stateRows(entries.length);
    for (const [row, [, stat]] of entries.entries()) putState(rows, row, stat);
    return [path, entries.map(([name]) => name).join('/'), stateSum(rows)];
  });
}

function areAsSummed(states: Testimony['states']): boolean {
  return states.every(([directory, names, sum]) => {
    const fd = openSync(toFsPath(directory), O_PATH | constants.O_DIRECTORY);
    try {
      return stateSum(lookUp(fd, names.split('/'))) === sum;
    } finally {
      closeSync(fd);
    }
  });
}
