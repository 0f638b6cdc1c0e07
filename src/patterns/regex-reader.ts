import { BadPatternError } from './file-match.ts';

/** A set of characters as sorted pairs of first and last code point. */
export type CharSet = readonly (readonly [number, number])[];

/** The last character of Unicode. */
export const MAX_CODE_POINT = 0x10ffff;
/** What `\w` matches. */
export const WORD: CharSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // oxfmt-ignore
const DIGIT: CharSet = [[0x30, 0x39]];
const SPACE: CharSet = [[0x09, 0x0a], [0x0c, 0x0d], [0x20, 0x20]]; // oxfmt-ignore
/** What `.` matches. */
export const NOT_NEWLINE: CharSet = complement([[0x0a, 0x0a]]);

/** Reads the characters of a regular expression in Go's syntax: what stands for one character, or for one out of a set. */
export class RegexReader {
  readonly #chars: readonly string[];
  /** Where the last `:]` is, or -1. */
  readonly #lastClassEnd: number;
  #index = 0;

  constructor(source: string) {
    this.#chars = Array.from(source);
    this.#lastClassEnd = this.#chars.findLastIndex((char, at) => char === ':' && this.#chars[at + 1] === ']');
  }

  /** The next character, which is not read by that; undefined at the end. @param ahead further on */
  peek(ahead = 0): string | undefined {
    return this.#chars[this.#index + ahead];
  }

  /** The next character. @throws BadPatternError at the end */
  next(): string {
    const char = this.#chars[this.#index];
    if (char === undefined) throw new BadPatternError();
    this.#index++;
    return char;
  }

  /** Reads a text if it is what comes next. */
  accept(text: string): boolean {
    if (!Array.from(text).every((char, ahead) => this.peek(ahead) === char)) return false;
    this.#index += Array.from(text).length;
    return true;
  }

  /** The characters of a `\Q` that was read, up to `\E` or the end: all of them are literal. */
  quoted(): readonly number[] {
    const codes: number[] = [];
    while (this.peek() !== undefined && !this.accept('\\E')) codes.push(codeOf(this.next()));
    return codes;
  }

  /** What `\d` and its like match; undefined when `char` is none of them. */
  classEscape(char: string): CharSet | undefined {
    switch (char) {
      case 'd':
        return DIGIT;
      case 'D':
        return complement(DIGIT);
      case 's':
        return SPACE;
      case 'S':
        return complement(SPACE);
      case 'w':
        return WORD;
      case 'W':
        return complement(WORD);
      default:
        return undefined;
    }
  }

  /** The character that a backslash and `char` stand for. Unicode classes (`\pL`) are not supported. */
  charEscape(char: string): number {
    const simple = { a: 0x07, f: 0x0c, n: 0x0a, r: 0x0d, t: 0x09, v: 0x0b }[char];
    if (simple !== undefined) return simple;
    if (char === 'x') return this.#hex();
    if (/^[0-7]$/.test(char)) return this.#octal(char);
    if (codeOf(char) >= 0x80 || /^[0-9A-Za-z]$/.test(char)) throw new BadPatternError();
    return codeOf(char);
  }

  #hex(): number {
    let digits = '';
    if (this.#chars[this.#index] === '{') {
      this.#index++;
      for (let char = this.next(); char !== '}'; char = this.next()) digits += char;
    } else {
      digits = this.next() + this.next();
    }
    const code = Number.parseInt(digits, 16);
    if (!/^[0-9A-Fa-f]+$/.test(digits) || code > MAX_CODE_POINT) throw new BadPatternError();
    return code;
  }

  /** `\0` and up to three digits; a single digit but 0 would be a back reference, which Go does not have. */
  #octal(first: string): number {
    let digits = first;
    while (digits.length < 3 && /^[0-7]$/.test(this.#chars[this.#index] ?? '')) digits += this.next();
    if (first !== '0' && digits.length === 1) throw new BadPatternError();
    return Number.parseInt(digits, 8);
  }

  /** The set whose `[` was read. @param fold what else a set matches, before it is negated */
  set(fold: (set: CharSet) => CharSet = (set) => set): CharSet {
    const negated = this.#chars[this.#index] === '^';
    if (negated) this.#index++;
    const ranges: (readonly [number, number])[] = [];
    for (let isFirst = true; isFirst || this.#chars[this.#index] !== ']'; isFirst = false) {
      const named = this.#namedClass();
      if (named) {
        ranges.push(...named);
        continue;
      }
      const low = this.#setChar();
      if (typeof low !== 'number') {
        ranges.push(...low);
        continue;
      }
      let high = low;
      if (
        this.#chars[this.#index] === '-' &&
        this.#index + 1 < this.#chars.length &&
        this.#chars[this.#index + 1] !== ']'
      ) {
        this.#index++;
        const upper = this.#setChar();
        if (typeof upper !== 'number' || upper < low) throw new BadPatternError();
        high = upper;
      }
      ranges.push([low, high]);
    }
    this.#index++;
    const set = fold(ranges);
    return negated ? complement(set) : set;
  }

  #setChar(): number | CharSet {
    const char = this.next();
    if (char !== '\\') return codeOf(char);
    const escaped = this.next();
    return this.classEscape(escaped) ?? this.charEscape(escaped);
  }

  /** `[:alpha:]` within a set. */
  #namedClass(): CharSet | undefined {
    if (this.#chars[this.#index] !== '[' || this.#chars[this.#index + 1] !== ':') return undefined;
    const rest = this.#chars.slice(this.#index, this.#index + 12).join('');
    const match = /^\[:(\^?)([a-z]+):\]/.exec(rest);
    if (!match) {
      if (this.#lastClassEnd >= this.#index + 2) throw new BadPatternError();
      return undefined;
    }
    const set = POSIX_CLASSES.get(match[2] ?? '');
    if (!set) throw new BadPatternError();
    this.#index += match[0].length;
    return match[1] === '^' ? complement(set) : set;
  }
}

const POSIX_CLASSES: ReadonlyMap<string, CharSet> = new Map<string, CharSet>([
  ['alnum', [[0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]]],
  ['alpha', [[0x41, 0x5a], [0x61, 0x7a]]],
  ['ascii', [[0x00, 0x7f]]],
  ['blank', [[0x09, 0x09], [0x20, 0x20]]],
  ['cntrl', [[0x00, 0x1f], [0x7f, 0x7f]]],
  ['digit', DIGIT],
  ['graph', [[0x21, 0x7e]]],
  ['lower', [[0x61, 0x7a]]],
  ['print', [[0x20, 0x7e]]],
  ['punct', [[0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]]],
  ['space', [[0x09, 0x0d], [0x20, 0x20]]],
  ['upper', [[0x41, 0x5a]]],
  ['word', WORD],
  ['xdigit', [[0x30, 0x39], [0x41, 0x46], [0x61, 0x66]]],
]); // oxfmt-ignore

/** The code point of one character. */
export function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

/** The set of one character. */
export function single(code: number): CharSet {
  return [[code, code]];
}

/** All characters that are not in the set. */
export function complement(set: CharSet): CharSet {
  const out: [number, number][] = [];
  let next = 0;
  for (const [low, high] of [...set].sort((a, b) => a[0] - b[0])) {
    if (low > next) out.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  if (next <= MAX_CODE_POINT) out.push([next, MAX_CODE_POINT]);
  return out;
}

/** Whether a character is in a set. */
export function contains(set: CharSet, code: number): boolean {
  for (const [low, high] of set) if (code >= low && code <= high) return true;
  return false;
}
