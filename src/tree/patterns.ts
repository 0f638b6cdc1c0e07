import { TsbuildError } from '../util/index.ts';
import { matchGlob } from './glob.ts';

/** Which patterns matched a directory, handed on to its children. Empty at the top. */
export type PatternState = readonly boolean[];

interface Pattern {
  readonly text: string;
  readonly exclusion: boolean;
  readonly matches: (path: string) => boolean;
  /** Components, or undefined when the pattern may match at any depth. */
  readonly components: readonly string[] | undefined;
}

/**
 * A list of patterns in the syntax of .dockerignore (moby/patternmatcher): the last match decides, `!` lets in again,
 * `**` stands for any number of directories, and what matches a directory matches all below it.
 */
export class PatternList {
  readonly #patterns: readonly Pattern[];
  /** Whether there is a pattern with `!`. */
  readonly hasExclusions: boolean;

  /** @throws TsbuildError `TSB_LLB` when a pattern is malformed. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns
      .map((pattern) => pattern.trim())
      .filter((pattern) => pattern !== '')
      .map(compile);
    this.hasExclusions = this.#patterns.some((pattern) => pattern.exclusion);
  }

  /**
   * Matches a path (relative, text) of which the parent's state is known; at the top level pass `[]` with a path of one
   * name, or with more for which the parents are then tried too.
   */
  match(path: string, parent: PatternState): { readonly matched: boolean; readonly state: PatternState } {
    let matched = false;
    const state = this.#patterns.map((pattern, index) => {
      let match = parent[index] ?? false;
      if (!match) {
        if (pattern.exclusion !== matched) return false;
        match = pattern.matches(path) || (parent.length === 0 && parentsOf(path).some(pattern.matches));
      }
      if (match) matched = !pattern.exclusion;
      return match;
    });
    return { matched, state };
  }

  /** Whether something below a directory (that did not match itself) could match. */
  canMatchBelow(dir: string): boolean {
    const names = dir.split('/');
    return this.#patterns.some(({ exclusion, components }) => {
      if (exclusion) return false;
      if (!components) return true;
      return (
        components.length > names.length && names.every((name, i) => matchGlob(components[i] ?? '', name) === true)
      );
    });
  }
}

function parentsOf(path: string): string[] {
  const names = path.split('/');
  return names.slice(0, -1).map((_, index) => names.slice(0, index + 1).join('/'));
}

function compile(pattern: string): Pattern {
  let text = cleanPath(pattern);
  const exclusion = text.startsWith('!');
  if (exclusion) {
    if (text.length === 1) throw new TsbuildError('TSB_LLB', 'Cannot use pattern "!": illegal exclusion pattern: "!"');
    text = text.slice(1);
  }
  const malformed = (): TsbuildError =>
    new TsbuildError('TSB_LLB', `Cannot use pattern "${pattern}": syntax error in pattern`);
  if (matchGlob(text, '.') === undefined) throw malformed();
  const simple = !text.includes('**') && !text.includes('\\') && !text.includes('[');
  const components = simple ? text.split('/') : undefined;
  try {
    return { text, exclusion, components, matches: compileMatch(text) };
  } catch {
    throw malformed();
  }
}

/** The kinds of matching of patternmatcher, whose corner cases (`**` at the start or end only) are not those of its regular expressions. */
function compileMatch(text: string): (path: string) => boolean {
  let source = '^';
  let kind: 'exact' | 'prefix' | 'suffix' | 'regexp' = 'exact';
  const chars = Array.from(text);
  for (let i = 0, step = 0; i < chars.length; step++) {
    const char = chars[i++] as string;
    if (char === '*' && chars[i] === '*') {
      i++;
      if (chars[i] === '/') i++;
      if (i < chars.length) {
        source += '(?:.*/)?';
        kind = 'regexp';
      } else if (kind === 'exact') kind = 'prefix';
      else {
        source += '.*';
        kind = 'regexp';
      }
      if (step === 0) kind = 'suffix';
    } else if (char === '*' || char === '?') {
      source += char === '*' ? '[^/]*' : '[^/]';
      kind = 'regexp';
    } else if (char === '\\' && i < chars.length) {
      source += escapeRegExp(chars[i++] as string);
      kind = 'regexp';
    } else if (char === '[') {
      const end = classEnd(chars, i);
      source += `[${chars
        .slice(i, end)
        .map((c, index) => (c === '[' || (c === '^' && index > 0) ? `\\${c}` : c))
        .join('')}]`;
      i = end + 1;
      kind = 'regexp';
    } else source += escapeRegExp(char);
  }
  if (kind === 'exact') return (path) => path === text;
  if (kind === 'prefix') return (path) => path.startsWith(text.slice(0, -2));
  if (kind === 'suffix') {
    const suffix = text.slice(2);
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  }
  const expression = new RegExp(`${source}$`, 'u');
  return (path) => expression.test(path);
}

function classEnd(chars: readonly string[], start: number): number {
  let i = start;
  if (chars[i] === '^') i++;
  for (let first = true; i < chars.length && (first || chars[i] !== ']'); first = false) i += chars[i] === '\\' ? 2 : 1;
  return i;
}

function escapeRegExp(char: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

/** Go's path.Clean for relative and absolute paths, minus the leading slash. */
function cleanPath(path: string): string {
  const names: string[] = [];
  const negated = path.startsWith('!');
  for (const name of (negated ? path.slice(1).trim() : path).split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..' && names.length > 0 && names.at(-1) !== '..') names.pop();
    else names.push(name);
  }
  return `${negated ? '!' : ''}${names.join('/')}`;
}
