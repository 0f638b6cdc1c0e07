/** A malformed pattern. The text is Go's. */
export class BadPatternError extends Error {
  constructor() {
    super('syntax error in pattern');
    this.name = 'BadPatternError';
  }
}

const STAR = 0x2a;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;

/**
 * Whether `name` matches the whole pattern, as Go's filepath.Match decides for the sources of COPY and ADD: `*` and `?` do not
 * match a slash, `[a-z]` and `[^a]` are sets, a backslash escapes. No braces, no `**`, no special treatment of dot files.
 * Takes at most pattern times name steps.
 * @throws BadPatternError for a malformed pattern, as far as it was looked at: a mismatch before a star ends the search
 */
export function matchPath(pattern: string, name: string): boolean {
  return new PathMatcher(codePoints(pattern), codePoints(name)).match();
}

/** Whether the pattern means anything but itself. */
export function hasWildcards(pattern: string): boolean {
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (char === '*' || char === '?' || char === '[') return true;
  }
  return false;
}

class PathMatcher {
  readonly #pattern: readonly number[];
  readonly #name: readonly number[];

  constructor(pattern: readonly number[], name: readonly number[]) {
    this.#pattern = pattern;
    this.#name = name;
  }

  /** Go's algorithm, run by run between stars. What has its place keeps it, so that stars do not multiply. */
  match(): boolean {
    let start = 0;
    let position = 0;
    while (start < this.#pattern.length) {
      const { from, to, star } = this.#chunk(start);
      start = to;
      // A star at the end matches all that is left, unless there is a slash in it.
      if (star && from === to) return !this.#name.includes(SLASH, position);
      const end = this.#place(from, to, star, position);
      if (end < 0) return false;
      position = end;
    }
    return position === this.#name.length;
  }

  /** The run from `start` up to the next star outside a set, and whether stars stand before it. */
  #chunk(start: number): { from: number; to: number; star: boolean } {
    let from = start;
    while (this.#pattern[from] === STAR) from++;
    let inSet = false;
    let to = from;
    for (; to < this.#pattern.length; to++) {
      const char = this.#pattern[to];
      if (char === BACKSLASH) to += to + 1 < this.#pattern.length ? 1 : 0;
      else if (char === OPEN) inSet = true;
      else if (char === CLOSE) inSet = false;
      else if (char === STAR && !inSet) break;
    }
    return { from, to, star: from > start };
  }

  /** The end of the first place for the run at or, behind a star, after `position`; -1 when there is none. */
  #place(from: number, to: number, star: boolean, position: number): number {
    const isLast = to === this.#pattern.length;
    const here = this.#runAt(from, to, position);
    // The last run has to end where the name does.
    if (here >= 0 && (here === this.#name.length || !isLast)) return here;
    if (!star) return -1;
    for (let skipped = position; skipped < this.#name.length && this.#name[skipped] !== SLASH; skipped++) {
      const end = this.#runAt(from, to, skipped + 1, true);
      if (end >= 0 && (!isLast || end === this.#name.length)) return end;
    }
    return -1;
  }

  /**
   * Matches a run without stars; gives the end in the name or -1. After a mismatch the rest is read for its syntax only,
   * unless that was done before.
   */
  #runAt(from: number, to: number, position: number, isChecked = false): number {
    let failed = false;
    let at = position;
    for (let index = from; index < to;) {
      const char = this.#name[at];
      if (char === undefined) failed = true;
      if (failed && isChecked) return -1;
      switch (this.#pattern[index]) {
        case OPEN: {
          const set = this.#set(index + 1, to, char ?? 0);
          index = set.end;
          if (!failed && !set.matches) failed = true;
          at++;
          break;
        }
        case QUESTION:
          if (char === SLASH) failed = true;
          at++;
          index++;
          break;
        default: {
          if (this.#pattern[index] === BACKSLASH) {
            index++;
            if (index >= to) throw new BadPatternError();
          }
          if (this.#pattern[index] !== char) failed = true;
          at++;
          index++;
        }
      }
    }
    return failed ? -1 : at;
  }

  #set(start: number, to: number, char: number): { end: number; matches: boolean } {
    let index = start;
    const negated = this.#pattern[index] === CARET && index < to;
    if (negated) index++;
    let matches = false;
    for (let ranges = 0; ; ranges++) {
      if (index < to && this.#pattern[index] === CLOSE && ranges > 0)
        return { end: index + 1, matches: matches !== negated };
      const low = this.#setChar(index, to);
      index = low.next;
      let high = low.char;
      if (this.#pattern[index] === DASH) {
        const upper = this.#setChar(index + 1, to);
        high = upper.char;
        index = upper.next;
      }
      if (low.char <= char && char <= high) matches = true;
    }
  }

  #setChar(start: number, to: number): { char: number; next: number } {
    let index = start;
    const first = index < to ? this.#pattern[index] : undefined;
    if (first === undefined || first === DASH || first === CLOSE) throw new BadPatternError();
    if (first === BACKSLASH) index++;
    const char = this.#pattern[index];
    // A set must go on: its closing bracket is still to come.
    if (char === undefined || index >= to || index + 1 >= to) throw new BadPatternError();
    return { char, next: index + 1 };
  }
}

function codePoints(text: string): number[] {
  return Array.from(text, (char) => char.codePointAt(0) ?? 0);
}
