import {
  BadPatternError,
  hasWildcards,
  matchPath,
  type MatchInfo,
  PatternMatcher,
  relativePattern,
} from '../patterns/index.ts';
import { type ByteString, joinPath, toText } from './bytes.ts';
import type { ReadableTree, TreeNode } from './node.ts';
import { resolvePath, splitPath } from './resolve.ts';

/**
 * Paths that a wildcard source stands for, in byte order, as fsutil's ResolveWildcards finds them: the part before the
 * first wildcard is resolved (its last symlink only with `followLinks`), the rest is matched name by name without
 * following symlinks. A path without wildcards stands for itself, whether it exists or not.
 */
export function resolveWildcards<D>(tree: ReadableTree<D>, path: ByteString, followLinks: boolean): ByteString[] {
  const names = cleanNames(path);
  const first = names.findIndex((name) => hasWildcards(name));
  if (first < 0) return [names.join('/')];
  const base = resolvePath(tree, names.slice(0, first).join('/'), { followLast: followLinks });
  try {
    const found: ByteString[] = [];
    if (base.self !== undefined) expand(tree, base.self, base.path, names.slice(first).map(toText), found);
    return found;
  } finally {
    base.release();
  }
}

function expand<D>(
  tree: ReadableTree<D>,
  dir: D,
  path: ByteString,
  patterns: readonly string[],
  found: ByteString[],
): void {
  const [pattern = '', ...rest] = patterns;
  for (const name of tree.list(dir)) {
    if (!matches(pattern, toText(name))) continue;
    if (rest.length === 0) found.push(joinPath(path, name));
    else if (tree.lookup(dir, name)?.type === 'directory') {
      const child = tree.enter(dir, name);
      try {
        expand(tree, child, joinPath(path, name), rest, found);
      } finally {
        tree.leave(child);
      }
    }
  }
}

/** Nothing matches a malformed pattern. */
function matches(pattern: string, name: string): boolean {
  try {
    return matchPath(pattern, name);
  } catch (error) {
    if (error instanceof BadPatternError) return false;
    throw error;
  }
}

/** Names of a path after lexical cleaning, as Go's path.Join("/", path) does it. */
export function cleanNames(path: ByteString): ByteString[] {
  const names: ByteString[] = [];
  for (const name of splitPath(path)) {
    if (name === '..') names.pop();
    else names.push(name);
  }
  return names;
}

/** What a filter says of one path. */
export interface FilterResult {
  readonly included: boolean;
  /** Whether anything below can be included: otherwise a directory need not be read. */
  readonly descend: boolean;
  readonly state: FilterState;
}

/** What is known of a directory's patterns when its entries are asked about. */
export interface FilterState {
  readonly include?: MatchInfo | undefined;
  readonly exclude?: MatchInfo | undefined;
}

/** Include and exclude patterns of a copy; paths are relative to the directory copied. */
export class PathFilter {
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  static readonly start: FilterState = {};

  /** @throws TsbuildError `TSB_LLB` when a pattern is malformed. */
  constructor(include: readonly string[], exclude: readonly string[]) {
    this.#include = include.length > 0 ? matcherOf(include) : undefined;
    this.#exclude = exclude.length > 0 ? matcherOf(exclude) : undefined;
  }

  /** Undefined when there are no patterns: everything is included. */
  static of(include: readonly string[], exclude: readonly string[]): PathFilter | undefined {
    return include.length + exclude.length > 0 ? new PathFilter(include, exclude) : undefined;
  }

  test(path: ByteString, parent: FilterState): FilterResult {
    const text = toText(path);
    const include = this.#include?.match(text, parent.include);
    const exclude = this.#exclude?.match(text, parent.exclude);
    const wanted = include?.matched ?? true;
    const excluded = exclude?.matched ?? false;
    return {
      included: wanted && !excluded,
      descend:
        (!excluded || this.#exclude?.hasExceptions === true) && (wanted || this.#include?.mayMatchBelow(text) === true),
      state: { include: include?.info, exclude: exclude?.info },
    };
  }
}

function matcherOf(patterns: readonly string[]): PatternMatcher {
  return new PatternMatcher(patterns.map(relativePattern), 'TSB_LLB');
}

/** What a walk tells of an entry. */
export interface Visit<D> {
  readonly dir: D;
  readonly name: ByteString;
  readonly node: TreeNode;
  /** Relative to the directory that the walk began in. */
  readonly path: ByteString;
}

/**
 * Walks everything below a directory that a filter lets through, in byte order of names, directories before what is in
 * them. A directory that is only there for the sake of something below comes when the first of those does.
 * @param visit returns true to end the walk
 * @returns whether it was ended
 */
export function walkTree<D>(
  tree: ReadableTree<D>,
  dir: D,
  filter: PathFilter | undefined,
  visit: (visited: Visit<D>) => boolean | void,
): boolean {
  const waiting: Visit<D>[] = [];
  const flush = (): boolean => {
    const parents = waiting.splice(0);
    return parents.some((parent) => visit(parent) === true);
  };
  const walk = (current: D, prefix: ByteString, state: FilterState): boolean => {
    for (const name of tree.list(current)) {
      const path = joinPath(prefix, name);
      const result = filter?.test(path, state);
      if (result && !result.included && !result.descend) continue;
      const node = tree.lookup(current, name);
      if (!node) continue;
      const visited = { dir: current, name, node, path };
      if (result === undefined || result.included) {
        if (waiting.length > 0 && flush()) return true;
        if (visit(visited) === true) return true;
      } else if (node.type === 'directory') waiting.push(visited);
      else continue;
      if (node.type !== 'directory' || result?.descend === false) continue;
      const child = tree.enter(current, name);
      try {
        if (walk(child, path, result?.state ?? PathFilter.start)) return true;
      } finally {
        tree.leave(child);
      }
      if (waiting.at(-1) === visited) waiting.pop();
    }
    return false;
  };
  return walk(dir, '', PathFilter.start);
}
