import type { Difference } from '../events/index.ts';
import {
  compareBytes,
  joinPath,
  type ListedDirectory,
  type ListedNode,
  parseListedNode,
  toText,
} from '../tree/index.ts';

/** Lists by their ids; undefined for one that is not kept. */
export type LoadListing = (id: string) => ListedDirectory | undefined;

/** Differences between two trees: the first ones in the order of paths, and how many there are. */
export interface TreeDifferences {
  readonly first: readonly Difference[];
  readonly total: number;
}

/** Names that are looked at before the count is given up: two trees that have nothing in common are no news. */
const MAX_LOOKS = 200_000;

/** Two directories that are not the same. */
interface Pair {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  /** Files beneath the later one. */
  readonly files: number;
}

/**
 * What is different between two listed trees. Every difference that it names is one; where a list was not kept, it says that it is one of
 * the files of that directory. Equal ids give none.
 * @param limit how many are named
 */
export function compareListings(load: LoadListing, before: string, after: string, limit: number): TreeDifferences {
  const first: Difference[] = [];
  let total = 0;
  let looks = 0;
  const found = (difference: Difference): void => {
    total++;
    if (first.length < limit) first.push(difference);
  };
  // Not recursive: directories may be nested deeper than the stack is.
  const stack: (Pair | Difference)[] = before === after ? [] : [{ path: '', before, after, files: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if ('what' in next) {
      found(next);
      continue;
    }
    const [old, now] = [next.before, next.after].map((id) => byName(load(id)));
    if (old === undefined || now === undefined || looks > MAX_LOOKS) {
      found({ what: 'file', name: `${toText(next.path)}/`, change: 'changed', oneOf: next.files });
      continue;
    }
    looks += old.size + now.size;
    for (const one of compareDirectories(next.path, old, now).toReversed()) stack.push(one);
  }
  return { first, total };
}

/** The names of a directory that differ, and directories to go into. */
function compareDirectories(path: string, before: Names, after: Names): (Pair | Difference)[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort(compareBytes);
  return names.flatMap((name) => compareNodes(joinPath(path, name), before.get(name), after.get(name)));
}

type Names = ReadonlyMap<string, string>;

function byName(directory: ListedDirectory | undefined): Names | undefined {
  if (directory === undefined) return undefined;
  const lines = JSON.parse(directory.text) as readonly string[];
  const map = new Map<string, string>();
  for (let at = 0; at + 1 < lines.length; at += 2) map.set(lines[at] ?? '', lines[at + 1] ?? '');
  return map;
}

function compareNodes(path: string, old: string | undefined, now: string | undefined): (Pair | Difference)[] {
  if (old === now) return [];
  const [before, after] = [old, now].map((line) => (line === undefined ? undefined : parseListedNode(line)));
  if (after === undefined) return before === undefined ? [] : [fileOf(path, before, 'removed')];
  if (before === undefined) return [fileOf(path, after, 'added')];
  if (before.type !== after.type) return [changed(path, 'type', before.type, after.type)];
  const found: (Pair | Difference)[] = [];
  if (before.content !== after.content)
    found.push(changed(path, 'changed', ...withPrefix(before.content, after.content, after.type === 'file')));
  if (before.link !== after.link) found.push(changed(path, 'target', toText(before.link), toText(after.link)));
  if (before.mode !== after.mode) found.push(changed(path, 'mode', octal(before.mode), octal(after.mode)));
  const [owner, newOwner] = [before, after].map(({ uid, gid }) => `${uid}:${gid}`);
  if (owner !== newOwner) found.push(changed(path, 'owner', owner, newOwner));
  if (after.type !== 'directory') return found.slice(0, 1);
  if (before.id !== after.id) found.push({ path, before: before.id, after: after.id, files: after.files });
  return found;
}

function fileOf(path: string, { type, files }: ListedNode, change: 'added' | 'removed'): Difference {
  const name = `${toText(path)}${type === 'directory' ? '/' : ''}`;
  return { what: 'file', name, change, ...(files > 0 ? { oneOf: files } : {}) };
}

function changed(path: string, change: Difference['change'], before?: string, after?: string): Difference {
  return {
    what: 'file',
    name: toText(path) || '.',
    change,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

/** `sha256 ab12…` */
function withPrefix(before: string, after: string, isDigest: boolean): readonly [string, string] {
  return isDigest ? [`sha256 ${before.slice(0, 4)}…`, `${after.slice(0, 4)}…`] : [before, after];
}

function octal(mode: string): string {
  return mode === '' ? 'none' : mode.padStart(4, '0');
}
