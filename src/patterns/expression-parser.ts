import { BadPatternError } from './file-match.ts';
import { type Place, placeEscape } from './regex-place.ts';
import { type CharSet, codeOf, complement, NOT_NEWLINE, RegexReader, single } from './regex-reader.ts';

/** A regular expression as a tree. */
export type Expression =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  /** The first one counts before the others. */
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | {
      readonly kind: 'repeat';
      readonly part: Expression;
      readonly min: number;
      /** Undefined is no limit. */
      readonly max: number | undefined;
      readonly greedy: boolean;
    }
  | { readonly kind: 'group'; readonly part: Expression; readonly index: number };

/** An expression with the names of its groups: the first is the whole, and those without a name have an empty one. */
export interface ParsedExpression {
  readonly root: Expression;
  readonly names: readonly string[];
}

/** What `(?ims)` and `(?U)` change. */
interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly U: boolean;
}

/** Go's own limits: of a repetition, and of how deep an expression may be. */
const MAX_REPEAT = 1000;
const MAX_DEPTH = 1000;
/** Ours: each way through an expression remembers where its groups are. */
const MAX_GROUPS = 100;

/**
 * Reads a regular expression in the syntax of Go's regexp package (RE2).
 * @throws BadPatternError for what Go refuses, and for Unicode classes (`\pL`)
 */
export function parseExpression(source: string): ParsedExpression {
  const parser = new ExpressionParser(source);
  return { root: parser.parse(), names: parser.names };
}

class ExpressionParser {
  readonly names: string[] = [''];
  readonly #reader: RegexReader;
  #flags: Flags = { i: false, m: false, s: false, U: false };
  #depth = 0;

  constructor(source: string) {
    this.#reader = new RegexReader(source);
  }

  parse(): Expression {
    const root = this.#choice();
    if (this.#reader.peek() !== undefined) throw new BadPatternError();
    return root;
  }

  #choice(): Expression {
    if (++this.#depth > MAX_DEPTH) throw new BadPatternError();
    const flags = this.#flags;
    const options = [this.#sequence()];
    while (this.#reader.accept('|')) options.push(this.#sequence());
    // What a group changes holds to its end.
    this.#flags = flags;
    this.#depth--;
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { kind: 'choice', options };
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    for (let char = this.#reader.peek(); char !== undefined && char !== '|' && char !== ')'; char = this.#reader.peek())
      this.#part(this.#reader.next(), parts);
    return { kind: 'sequence', parts };
  }

  #part(char: string, parts: Expression[]): void {
    switch (char) {
      case '^':
        parts.push({ kind: 'place', place: this.#flags.m ? 'lineStart' : 'start' });
        break;
      case '$':
        parts.push({ kind: 'place', place: this.#flags.m ? 'lineEnd' : 'end' });
        break;
      case '.':
        parts.push({ kind: 'set', set: this.#flags.s ? complement([]) : NOT_NEWLINE });
        break;
      case '[':
        parts.push({ kind: 'set', set: this.#reader.set((set) => this.#folded(set)) });
        break;
      case '(':
        if (!this.#group(parts)) return;
        break;
      case '\\':
        this.#escape(parts);
        break;
      case '*':
      case '+':
      case '?':
        throw new BadPatternError();
      default:
        parts.push(this.#literal(codeOf(char)));
    }
    this.#repetition(parts);
  }

  /** @returns false for one that only sets flags, which cannot be repeated */
  #group(parts: Expression[]): boolean {
    if (!this.#reader.accept('?')) {
      parts.push(this.#captured(''));
      return true;
    }
    if (this.#reader.accept('P<') || this.#reader.accept('<')) {
      let name = '';
      while (!this.#reader.accept('>')) name += this.#reader.next();
      if (!/^\w+$/.test(name) || this.names.includes(name)) throw new BadPatternError();
      parts.push(this.#captured(name));
      return true;
    }
    const outer = this.#flags;
    if (this.#readFlags()) return false;
    const part = this.#choice();
    this.#flags = outer;
    if (!this.#reader.accept(')')) throw new BadPatternError();
    parts.push(part);
    return true;
  }

  #captured(name: string): Expression {
    const index = this.names.push(name) - 1;
    if (index > MAX_GROUPS) throw new BadPatternError();
    const part = this.#choice();
    if (!this.#reader.accept(')')) throw new BadPatternError();
    return { kind: 'group', part, index };
  }

  /** `flags)`, which holds for the rest of the group around it: true; or `flags:` of a group. */
  #readFlags(): boolean {
    let value = true;
    let wanting = false;
    for (;;) {
      const char = this.#reader.next();
      switch (char) {
        case 'i':
        case 'm':
        case 's':
        case 'U':
          this.#flags = { ...this.#flags, [char]: value };
          wanting = false;
          break;
        case '-':
          if (!value) throw new BadPatternError();
          value = false;
          wanting = true;
          break;
        case ')':
        case ':':
          if (wanting) throw new BadPatternError();
          return char === ')';
        default:
          throw new BadPatternError();
      }
    }
  }

  #escape(parts: Expression[]): void {
    const char = this.#reader.next();
    const place = placeEscape(char);
    if (place !== undefined) parts.push({ kind: 'place', place });
    else if (char === 'Q') parts.push(...this.#reader.quoted().map((code) => this.#literal(code)));
    else {
      const named = this.#reader.classEscape(char);
      parts.push(
        named === undefined ? this.#literal(this.#reader.charEscape(char)) : { kind: 'set', set: this.#folded(named) },
      );
    }
  }

  /** What may follow a part: `*`, `+`, `?` or `{2,3}`, and a `?` after that. Two in a row are refused. */
  #repetition(parts: Expression[]): void {
    const range = this.#range();
    if (range === undefined) return;
    const part = parts.pop();
    if (part === undefined) throw new BadPatternError();
    const greedy = this.#reader.accept('?') === this.#flags.U;
    if (this.#range() !== undefined) throw new BadPatternError();
    parts.push({ kind: 'repeat', part, ...range, greedy });
  }

  #range(): { readonly min: number; readonly max: number | undefined } | undefined {
    if (this.#reader.accept('*')) return { min: 0, max: undefined };
    if (this.#reader.accept('+')) return { min: 1, max: undefined };
    if (this.#reader.accept('?')) return { min: 0, max: 1 };
    // What is no repetition is a brace.
    let text = '';
    for (let ahead = 0; this.#reader.peek(0) === '{' && ahead < 12; ahead++) {
      text += this.#reader.peek(ahead) ?? '';
      if (text.endsWith('}')) break;
    }
    const [, low = '', comma, high = ''] = /^\{(0|[1-9]\d*)(?:(,)(0|[1-9]\d*)?)?\}$/.exec(text) ?? [];
    if (low === '') return undefined;
    const min = Number(low);
    const max = comma === undefined ? min : high === '' ? undefined : Number(high);
    if (min > MAX_REPEAT || (max !== undefined && (max > MAX_REPEAT || max < min))) throw new BadPatternError();
    this.#reader.accept(text);
    return { min, max };
  }

  #literal(code: number): Expression {
    return { kind: 'set', set: this.#folded(single(code)) };
  }

  /** With `(?i)`, the set and the other case of its letters. */
  #folded(set: CharSet): CharSet {
    if (!this.#flags.i) return set;
    const others = set.flatMap(([low, high]): CharSet => {
      if (low === high && low > 0x7f) return otherCases(low).map((code) => [code, code] as const);
      return [...shifted([low, high], [0x41, 0x5a], 0x20), ...shifted([low, high], [0x61, 0x7a], -0x20)];
    });
    return [...set, ...others];
  }
}

/** The part of a range that lies within another one, moved. */
function shifted(
  [low, high]: readonly [number, number],
  [first, last]: readonly [number, number],
  by: number,
): CharSet {
  const [from, to] = [Math.max(low, first), Math.min(high, last)];
  return from > to ? [] : [[from + by, to + by]];
}

function otherCases(code: number): readonly number[] {
  const text = String.fromCodePoint(code);
  return [text.toLowerCase(), text.toUpperCase()].filter((one) => Array.from(one).length === 1).map(codeOf);
}
