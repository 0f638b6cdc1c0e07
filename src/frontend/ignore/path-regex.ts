import { BadPatternError } from './file-match.ts';

/**
 * The part of Go's regular expressions that comes out of path patterns, matched without backtracking: hostile patterns such as
 * `*a*a*a*a*b` take time linear in the path. Simple ones run on the built-in engine, which is faster.
 */

export type PathTest = (path: string) => boolean;

/** A set of characters as sorted pairs of first and last code point. */
type CharSet = readonly (readonly [number, number])[];

type Assertion = 'start' | 'end' | 'word' | 'notWord';

type Item =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly assert: Assertion }
  | { readonly kind: 'star'; readonly set: CharSet }
  /** `(set* separator)?` */
  | { readonly kind: 'optional'; readonly items: readonly Item[] };

/** With more repetitions, or for longer paths, a backtracking engine could take long. */
const MAX_BUILTIN_STARS = 2;
const MAX_BUILTIN_PATH = 1024;

const MAX_CODE_POINT = 0x10ffff;
const WORD: CharSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // oxfmt-ignore
const DIGIT: CharSet = [[0x30, 0x39]];
const SPACE: CharSet = [[0x09, 0x0a], [0x0c, 0x0d], [0x20, 0x20]]; // oxfmt-ignore
const NOT_NEWLINE: CharSet = complement([[0x0a, 0x0a]]);

/** @throws BadPatternError for what Go's regexp package refuses */
export function compileRegex(source: string): PathTest {
  const items = new RegexParser(Array.from(source)).parse();
  let program: readonly Op[] | undefined;
  const slow: PathTest = (path) => simulate((program ??= assemble(items)), path);
  if (countStars(items) > MAX_BUILTIN_STARS) return slow;
  const regex = new RegExp(toSource(items), needsUnicode(items) ? 'u' : '');
  return (path) => (path.length > MAX_BUILTIN_PATH ? slow(path) : regex.test(path));
}

class RegexParser {
  readonly #chars: readonly string[];
  #index = 0;

  constructor(chars: readonly string[]) {
    this.#chars = chars;
  }

  parse(): Item[] {
    const items = this.#sequence();
    if (this.#index < this.#chars.length) throw new BadPatternError();
    return items;
  }

  #sequence(): Item[] {
    const items: Item[] = [];
    for (let char = this.#chars[this.#index]; char !== undefined && char !== ')'; char = this.#chars[this.#index]) {
      this.#index++;
      this.#item(char, items);
    }
    return items;
  }

  #item(char: string, items: Item[]): void {
    switch (char) {
      case '^':
        items.push({ kind: 'assert', assert: 'start' });
        return;
      case '$':
        items.push({ kind: 'assert', assert: 'end' });
        return;
      case '(': {
        const inner = this.#sequence();
        // The only group that a pattern makes is optional.
        if (this.#chars[this.#index] !== ')' || this.#chars[this.#index + 1] !== '?') throw new BadPatternError();
        this.#index += 2;
        items.push({ kind: 'optional', items: inner });
        return;
      }
      case '*': {
        const last = items.pop();
        if (last?.kind !== 'set') throw new BadPatternError();
        items.push({ kind: 'star', set: last.set });
        return;
      }
      case '.':
        items.push({ kind: 'set', set: NOT_NEWLINE });
        return;
      case '[':
        items.push({ kind: 'set', set: this.#set() });
        return;
      case '\\':
        this.#escape(items);
        return;
      default:
        items.push(literal(codeOf(char)));
    }
  }

  /** An escape outside a set. */
  #escape(items: Item[]): void {
    const char = this.#next();
    switch (char) {
      case 'A':
        items.push({ kind: 'assert', assert: 'start' });
        return;
      case 'z':
        items.push({ kind: 'assert', assert: 'end' });
        return;
      case 'b':
        items.push({ kind: 'assert', assert: 'word' });
        return;
      case 'B':
        items.push({ kind: 'assert', assert: 'notWord' });
        return;
      case 'C':
        throw new BadPatternError();
      case 'Q':
        this.#quoted(items);
        return;
      case 'E':
        return;
      default:
        items.push({ kind: 'set', set: this.#classEscape(char) ?? single(this.#charEscape(char)) });
    }
  }

  /** Everything up to `\E` is literal. */
  #quoted(items: Item[]): void {
    while (this.#index < this.#chars.length) {
      const char = this.#next();
      if (char === '\\' && this.#chars[this.#index] === 'E') {
        this.#index++;
        return;
      }
      items.push(literal(codeOf(char)));
    }
  }

  #classEscape(char: string): CharSet | undefined {
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
  #charEscape(char: string): number {
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
      for (let char = this.#next(); char !== '}'; char = this.#next()) digits += char;
    } else {
      digits = this.#next() + this.#next();
    }
    const code = Number.parseInt(digits, 16);
    if (!/^[0-9A-Fa-f]+$/.test(digits) || code > MAX_CODE_POINT) throw new BadPatternError();
    return code;
  }

  /** `\0` and up to three digits; a single digit but 0 would be a back reference, which Go does not have. */
  #octal(first: string): number {
    let digits = first;
    while (digits.length < 3 && /^[0-7]$/.test(this.#chars[this.#index] ?? '')) digits += this.#next();
    if (first !== '0' && digits.length === 1) throw new BadPatternError();
    return Number.parseInt(digits, 8);
  }

  #set(): CharSet {
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
    return negated ? complement(ranges) : ranges;
  }

  #setChar(): number | CharSet {
    const char = this.#next();
    if (char !== '\\') return codeOf(char);
    const escaped = this.#next();
    return this.#classEscape(escaped) ?? this.#charEscape(escaped);
  }

  /** `[:alpha:]` within a set. */
  #namedClass(): CharSet | undefined {
    if (this.#chars[this.#index] !== '[' || this.#chars[this.#index + 1] !== ':') return undefined;
    const rest = this.#chars.slice(this.#index, this.#index + 12).join('');
    const match = /^\[:(\^?)([a-z]+):\]/.exec(rest);
    if (!match) {
      if (this.#chars.join('').includes(':]', this.#index + 2)) throw new BadPatternError();
      return undefined;
    }
    const set = POSIX_CLASSES.get(match[2] ?? '');
    if (!set) throw new BadPatternError();
    this.#index += match[0].length;
    return match[1] === '^' ? complement(set) : set;
  }

  #next(): string {
    const char = this.#chars[this.#index];
    if (char === undefined) throw new BadPatternError();
    this.#index++;
    return char;
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

function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function single(code: number): CharSet {
  return [[code, code]];
}

function literal(code: number): Item {
  return { kind: 'set', set: single(code) };
}

function complement(set: CharSet): CharSet {
  const out: [number, number][] = [];
  let next = 0;
  for (const [low, high] of [...set].sort((a, b) => a[0] - b[0])) {
    if (low > next) out.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  if (next <= MAX_CODE_POINT) out.push([next, MAX_CODE_POINT]);
  return out;
}

function contains(set: CharSet, code: number): boolean {
  for (const [low, high] of set) if (code >= low && code <= high) return true;
  return false;
}

function countStars(items: readonly Item[]): number {
  let count = 0;
  for (const item of items) {
    if (item.kind === 'star') count++;
    else if (item.kind === 'optional') count += countStars(item.items);
  }
  return count;
}

/** The items for the built-in engine, every character as an escape. */
function toSource(items: readonly Item[]): string {
  return items.map(itemSource).join('');
}

const ASSERTIONS: Readonly<Record<Assertion, string>> = { start: '^', end: '$', word: '\\b', notWord: '\\B' };

function itemSource(item: Item): string {
  switch (item.kind) {
    case 'assert':
      return ASSERTIONS[item.assert];
    case 'optional':
      return `(?:${toSource(item.items)})?`;
    case 'star':
      return `${setSource(item.set)}*`;
    case 'set':
      return setSource(item.set);
  }
}

function setSource(set: CharSet): string {
  if (isSingle(set)) return charSource(set[0]?.[0] ?? 0);
  const inner = (ranges: CharSet): string =>
    ranges.map(([low, high]) => (low === high ? charSource(low) : `${charSource(low)}-${charSource(high)}`)).join('');
  const rest = complement(set);
  return rest.length > 0 && rest.length < set.length ? `[^${inner(rest)}]` : `[${inner(set)}]`;
}

function isSingle(set: CharSet): boolean {
  return set.length === 1 && set[0]?.[0] === set[0]?.[1];
}

function charSource(code: number): string {
  if (code > 0xffff) return `\\u{${code.toString(16)}}`;
  return `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * Whether it matters that a character may be two UTF-16 units: for single characters out of a set, and for sets that tell such
 * characters apart.
 */
function needsUnicode(items: readonly Item[]): boolean {
  return items.some((item) => {
    if (item.kind === 'optional') return needsUnicode(item.items);
    if (item.kind === 'assert') return false;
    const isPlain = item.set.every(([low, high]) => low <= 0xffff && (high <= 0xffff || high === MAX_CODE_POINT));
    return !isPlain || (item.kind === 'set' && !isSingle(item.set));
  });
}

/** Instructions of the simulated machine. `jump` goes to two places at once. */
type Op =
  | { readonly op: 'set'; readonly set: CharSet }
  | { readonly op: 'assert'; readonly assert: Assertion }
  | { readonly op: 'jump'; readonly first: number; readonly second: number };

function assemble(items: readonly Item[]): readonly Op[] {
  const program: Op[] = [];
  const add = (list: readonly Item[]): void => {
    for (const item of list) {
      const at = program.length;
      if (item.kind === 'set') program.push({ op: 'set', set: item.set });
      else if (item.kind === 'assert') program.push({ op: 'assert', assert: item.assert });
      else if (item.kind === 'star') {
        program.push({ op: 'jump', first: at + 1, second: at + 3 }, { op: 'set', set: item.set });
        program.push({ op: 'jump', first: at, second: at });
      } else {
        program.push({ op: 'jump', first: at + 1, second: at + 1 });
        add(item.items);
        program[at] = { op: 'jump', first: at + 1, second: program.length };
      }
    }
  };
  add(items);
  return program;
}

/** Follows all possibilities at once, character by character. Items are anchored at both ends. */
function simulate(program: readonly Op[], path: string): boolean {
  const chars = Array.from(path, codeOf);
  let current: number[] = [];
  /** The last position at which each instruction was reached, so that none is followed twice. */
  const reached = new Int32Array(program.length + 1).fill(-1);
  const pending: number[] = [];
  const reach = (start: number, position: number, into: number[]): void => {
    pending.push(start);
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (reached[at] === position) continue;
      reached[at] = position;
      const op = program[at];
      if (op === undefined || op.op === 'set') into.push(at);
      else if (op.op === 'jump') pending.push(op.second, op.first);
      else if (holds(op.assert, chars, position)) pending.push(at + 1);
    }
  };
  reach(0, 0, current);
  for (let position = 0; position < chars.length && current.length > 0; position++) {
    const next: number[] = [];
    for (const at of current) {
      const op = program[at];
      if (op?.op === 'set' && contains(op.set, chars[position] ?? 0)) reach(at + 1, position + 1, next);
    }
    current = next;
  }
  return current.includes(program.length);
}

function holds(assert: Assertion, chars: readonly number[], position: number): boolean {
  if (assert === 'start') return position === 0;
  if (assert === 'end') return position === chars.length;
  const before = position > 0 && contains(WORD, chars[position - 1] ?? 0);
  const after = position < chars.length && contains(WORD, chars[position] ?? 0);
  return (before !== after) === (assert === 'word');
}
