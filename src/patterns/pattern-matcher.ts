import { type ErrorCode, TsbuildError } from '../util/index.ts';
import { cleanPath } from './clean.ts';
import { BadPatternError, matchPath } from './file-match.ts';
import { compileRegex, type PathTest, withParents } from './path-regex.ts';
import { trimSpace } from './trim.ts';

/** Which patterns matched a directory, to be passed on to its entries. */
export type MatchInfo = Uint8Array;

/**
 * An ordered list of patterns where the last one that matches decides: with a leading `!` the path does not match. A pattern
 * that matches a directory matches everything below it. `*` and `?` stay within a path element, `**` crosses any number.
 * The rules are those of moby/patternmatcher, its oddities included.
 */
export class PatternMatcher {
  readonly #patterns: readonly PathPattern[];
  readonly #exceptions: readonly PathPattern[];
  readonly #others: readonly PathPattern[];

  /**
   * @param patterns blank ones are skipped
   * @param code of the errors, which depends on where the patterns are from
   * @throws TsbuildError `code` for a bare `!` and for what `matchPath` takes for malformed
   */
  constructor(patterns: readonly string[], code: ErrorCode = 'TSB_IGNORE') {
    this.#patterns = patterns
      .map(trimSpace)
      .filter((pattern) => pattern !== '')
      .map((pattern) => new PathPattern(cleanPath(pattern), code));
    this.#exceptions = this.#patterns.filter((pattern) => pattern.isException);
    this.#others = this.#patterns.filter((pattern) => !pattern.isException);
  }

  /** Whether any pattern starts with `!`. */
  get hasExceptions(): boolean {
    return this.#exceptions.length > 0;
  }

  /** The cleaned patterns, without `!`. */
  get patterns(): readonly { readonly text: string; readonly isException: boolean }[] {
    return this.#patterns;
  }

  /**
   * Whether the path matches, and what its entries need to know if it is a directory.
   * @param parent the parent directory's result; without it, all parents are matched here
   */
  match(path: string, parent?: MatchInfo): { readonly matched: boolean; readonly info: MatchInfo } {
    const info = new Uint8Array(this.#patterns.length);
    return { matched: this.#run(path, parent, info), info };
  }

  /** Like `match` for an entry that has nothing below it. */
  matchesBelow(path: string, parent?: MatchInfo): boolean {
    return this.#run(path, parent, undefined);
  }

  #run(path: string, parent: MatchInfo | undefined, info: MatchInfo | undefined): boolean {
    let matched = false;
    for (let index = 0; index < this.#patterns.length; index++) {
      const pattern = this.#patterns[index];
      if (!pattern) continue;
      if (parent?.[index] !== 1) {
        // Only a pattern that would change the answer needs to be asked.
        if (pattern.isException !== matched) continue;
        if (!pattern.matches(path, parent === undefined)) continue;
      }
      if (info) info[index] = 1;
      matched = !pattern.isException;
    }
    return matched;
  }

  /** Whether a `!` pattern could match something below the directory. */
  mayExceptBelow(directory: string): boolean {
    return mayMatchBelow(this.#exceptions, directory);
  }

  /** Whether a pattern without `!` could match something below a directory that it does not match itself. */
  mayMatchBelow(directory: string): boolean {
    return mayMatchBelow(this.#others, directory);
  }
}

function mayMatchBelow(patterns: readonly PathPattern[], directory: string): boolean {
  if (patterns.length === 0) return false;
  const elements = directory.split('/');
  return patterns.some((pattern) => pattern.mayMatchBelow(elements));
}

class PathPattern {
  readonly text: string;
  readonly isException: boolean;
  readonly #code: ErrorCode;
  #test: PathTest | undefined;
  #elements: readonly ElementTest[] | undefined;

  constructor(pattern: string, code: ErrorCode) {
    this.#code = code;
    this.isException = pattern.startsWith('!');
    this.text = this.isException ? pattern.slice(1) : pattern;
    if (this.text === '') throw new TsbuildError(code, 'illegal exclusion pattern: "!"');
    try {
      matchPath(this.text, '.');
    } catch (error) {
      throw badPattern(this.text, code, error);
    }
  }

  /** @throws TsbuildError for a set that only its use shows to be malformed, e.g. `[z-a]` */
  matches(path: string, orParent: boolean): boolean {
    this.#test ??= this.#compile();
    return this.#test(path, orParent);
  }

  #compile(): PathTest {
    try {
      return compile(this.text);
    } catch (error) {
      throw badPattern(this.text, this.#code, error);
    }
  }

  /** Compares element by element; from a `**`, a set or an escape on, anything may match. */
  mayMatchBelow(directory: readonly string[]): boolean {
    this.#elements ??= this.text.split('/').map(elementTest);
    for (const [index, name] of directory.entries()) {
      const test = this.#elements[index];
      if (test === undefined) return false;
      if (test === 'anything') return true;
      if (!test(name)) return false;
    }
    return this.#elements.length > directory.length;
  }
}

type ElementTest = PathTest | 'anything';

function elementTest(element: string): ElementTest {
  if (/\*\*|[[\]\\^]/.test(element)) return 'anything';
  return compile(element);
}

function badPattern(pattern: string, code: ErrorCode, cause: unknown): unknown {
  if (!(cause instanceof BadPatternError)) return cause;
  return new TsbuildError(code, `Cannot use pattern ${JSON.stringify(pattern)}: ${cause.message}`, { cause });
}

/**
 * Turns a pattern into a test. Most are plain text, with `**` at one end perhaps; the others go by way of the regular expression
 * that moby/patternmatcher would make of them, because what it makes of odd ones (`[!a]`, `\d`, `a^b`) is part of the rules.
 */
function compile(pattern: string): PathTest {
  const chars = Array.from(pattern);
  let regex = '^';
  let kind: 'exact' | 'prefix' | 'suffix' | 'regex' = 'exact';
  for (let index = 0, step = 0; index < chars.length; index++, step++) {
    const char = chars[index] ?? '';
    if (char === '*' && chars[index + 1] === '*') {
      index++;
      if (chars[index + 1] === '/') index++;
      if (index + 1 < chars.length) {
        regex += '(.*/)?';
        kind = 'regex';
      } else if (kind === 'exact') {
        kind = 'prefix';
      } else {
        regex += '.*';
        kind = 'regex';
      }
      if (step === 0) kind = 'suffix';
    } else if (char === '*' || char === '?') {
      regex += char === '*' ? '[^/]*' : '[^/]';
      kind = 'regex';
    } else if ('.+()|{}$'.includes(char)) {
      regex += `\\${char}`;
    } else if (char === '\\') {
      index++;
      regex += `\\${chars[index] ?? ''}`;
      if (index < chars.length) kind = 'regex';
    } else {
      regex += char;
      if (char === '[' || char === ']') kind = 'regex';
    }
  }
  switch (kind) {
    case 'exact':
      return withParents((path) => path === pattern);
    case 'prefix': {
      const prefix = pattern.slice(0, -2);
      return withParents((path) => path.startsWith(prefix));
    }
    case 'suffix': {
      const suffix = pattern.slice(2);
      const bare = suffix.startsWith('/') ? suffix.slice(1) : undefined;
      return withParents((path) => path.endsWith(suffix) || path === bare);
    }
    case 'regex':
      return compileWild(pattern, `${regex}$`);
  }
}

/** A pattern with wildcards. Its plain parts are looked for first: that tells most paths apart, and faster. */
function compileWild(pattern: string, regex: string): PathTest {
  const parts = plainParts(pattern);
  const ending = parts.at(-1) ?? '';
  const longest = parts.reduce((best, part) => (part.length > best.length ? part : best), '');
  if (longest === '') return compileRegex(regex);
  let test: PathTest | undefined;
  return (path, orParent = false) => {
    if (!path.includes(longest) || !(orParent || path.endsWith(ending))) return false;
    return (test ??= compileRegex(regex))(path, orParent);
  };
}

/** The texts between the wildcards of a pattern; none when there are sets or escapes in it. */
function plainParts(pattern: string): readonly string[] {
  if (/[[\]\\^]/.test(pattern)) return [];
  // The slash of `**/` may be missing in the path.
  return pattern.split(/\*\*\/?|[*?]/);
}
