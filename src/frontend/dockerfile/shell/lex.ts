import { TsbuildError } from '../../../util/index.ts';
import type { EscapeToken } from '../types.ts';
import { goQuote, isSpace } from '../text.ts';
import {
  compilePattern,
  expandTemplate,
  PatternError,
  replaceAll,
  replaceFirst,
  trimPrefix,
  trimSuffix,
} from './pattern.ts';

/** Where variables are looked up. A Map, never an object: names come from the Dockerfile. */
export interface Environment {
  get(name: string): string | undefined;
}

/** How words are read. */
export interface LexOptions {
  /** Default: backslash. */
  readonly escape?: EscapeToken;
  /** Keep quotes in the result. */
  readonly rawQuotes?: boolean;
  /** Keep escape characters in the result. */
  readonly rawEscapes?: boolean;
  /** Quotes are ordinary characters (heredoc bodies). */
  readonly skipProcessQuotes?: boolean;
  /** Leave references to unset variables as they are (names of RUN steps). */
  readonly skipUnset?: boolean;
}

/** What came of a word. */
export interface Expansion {
  readonly value: string;
  /** Names that were looked up and found. */
  readonly matched: ReadonlySet<string>;
  /** Names that were looked up and not found, those of branches not taken included. */
  readonly unmatched: ReadonlySet<string>;
}

/** More than this many characters beyond the input are not made of one word. */
const MAX_GROWTH = 1024 * 1024;
/** Substitutions nested deeper than this are refused, so that hostile input cannot exhaust the stack. */
const MAX_DEPTH = 500;
/** As much of the input as an error message repeats. */
const MAX_QUOTED = 1000;

/**
 * Expands variables and removes quotes and escapes, as ADD, COPY, ENV, LABEL and others do with each of their words.
 * @throws TsbuildError `TSB_DOCKERFILE`: BuildKit's `failed to process "…": …`
 */
export function expandWord(word: string, env: Environment, options: LexOptions = {}): Expansion {
  const lexer = new Lexer(word, env, options, false);
  const { text } = lexer.run();
  return { value: text, matched: lexer.matched, unmatched: lexer.unmatched };
}

/**
 * Like `expandWord`, and splits the result at unquoted blanks. Quoted and escaped blanks do not split.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function expandWords(word: string, env: Environment, options: LexOptions = {}): readonly string[] {
  return new Lexer(word, env, options, true).run().words;
}

/** A syntax error in the middle of lexing; `run` adds the input to it. */
class LexFailure extends Error {}

const EOF = -1;
const LETTER = /^\p{L}$/u;
const DIGIT = /^\p{Nd}$/u;
const SPECIAL_NAMES = '@*#?-$!0';

class Lexer {
  readonly matched: Set<string> = new Set();
  readonly unmatched: Set<string> = new Set();
  readonly #source: string;
  readonly #env: Environment;
  readonly #options: LexOptions;
  readonly #escape: number;
  readonly #split: boolean;
  readonly #maxLength: number;
  #position: number;
  #rawEscapes: boolean;
  #depth = 0;
  /**
   * The word being collected. One for all nesting levels: BuildKit's lexer loses what stands before a `${x:-word}` in the same
   * word when it splits, and results must be the same.
   */
  #word = '';

  constructor(source: string, env: Environment, options: LexOptions, split: boolean) {
    this.#source = source;
    this.#env = env;
    this.#options = options;
    this.#escape = (options.escape ?? '\\').charCodeAt(0);
    this.#split = split;
    this.#maxLength = source.length + MAX_GROWTH;
    this.#rawEscapes = options.rawEscapes ?? false;
    // Go's scanner ignores a byte order mark at the start.
    this.#position = source.startsWith('\uFEFF') ? 1 : 0;
  }

  /**
   * The word with its substitutions, whole and split.
   * @throws TsbuildError `TSB_DOCKERFILE` quoting the word
   */
  run(): { text: string; words: string[] } {
    try {
      return this.#until(EOF, this.#rawEscapes);
    } catch (error) {
      if (!(error instanceof LexFailure)) throw error;
      throw new TsbuildError('TSB_DOCKERFILE', `failed to process ${goQuote(this.#shortSource())}: ${error.message}`);
    }
  }

  /** What messages quote: words come from anybody and may be megabytes long. */
  #shortSource(): string {
    return this.#source.length > MAX_QUOTED ? `${this.#source.slice(0, MAX_QUOTED)}…` : this.#source;
  }

  /** The next character, not taken. */
  #peek(): number {
    return this.#source.codePointAt(this.#position) ?? EOF;
  }

  /** Takes the next character. */
  #next(): number {
    const char = this.#peek();
    if (char !== EOF) this.#position += char > 0xffff ? 2 : 1;
    return char;
  }

  /** Processes up to `stop`, which is consumed, or to the end. */
  #until(stop: number, rawEscapes: boolean): { text: string; words: string[] } {
    if (++this.#depth > MAX_DEPTH) {
      throw new TsbuildError(
        'TSB_DOCKERFILE',
        `failed to process ${goQuote(this.#shortSource())}: substitutions are nested more than ${MAX_DEPTH} levels deep`,
      );
    }
    const outerRaw = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    try {
      return this.#body(stop);
    } finally {
      this.#rawEscapes = outerRaw;
      this.#depth--;
    }
  }

  /**
   * The state machine of BuildKit's `processStopOn`, in its order: special characters, then plain ones, then
   * escapes.
   */
  #body(stop: number): { text: string; words: string[] } {
    let text = '';
    const words: string[] = [];
    this.#word = '';
    for (;;) {
      const char = this.#peek();
      if (char === EOF) break;
      if (stop !== EOF && char === stop) {
        this.#next();
        this.#endWord(words);
        return { text, words };
      }
      if (char === 0x24 || char === 0x3c || ((char === 0x27 || char === 0x22) && !this.#options.skipProcessQuotes)) {
        const piece = this.#special(char);
        text = this.#join(text, piece);
        if (this.#split) {
          if (char === 0x24) this.#addSplitting(piece, words);
          else this.#word += piece;
        }
        continue;
      }
      this.#next();
      if (char !== this.#escape) {
        const plain = String.fromCodePoint(char);
        text += plain;
        if (this.#split) this.#addSplitting(plain, words);
        continue;
      }
      if (this.#rawEscapes) {
        text += String.fromCodePoint(char);
        this.#word += String.fromCodePoint(char);
      }
      const escaped = this.#next();
      if (escaped === EOF) break;
      text += String.fromCodePoint(escaped);
      this.#word += String.fromCodePoint(escaped);
    }
    if (stop !== EOF) {
      throw new LexFailure(`unexpected end of statement while looking for matching ${String.fromCodePoint(stop)}`);
    }
    this.#endWord(words);
    return { text, words };
  }

  /** Appends, within bounds: `${a}${a}` in a few lines of ENV doubles each time. */
  #join(text: string, piece: string): string {
    if (text.length + piece.length > this.#maxLength) {
      throw new TsbuildError(
        'TSB_DOCKERFILE',
        `failed to process ${goQuote(this.#shortSource())}: the result is longer than ${this.#maxLength} characters`,
        { hint: 'variables that are made of themselves several times grow without bound' },
      );
    }
    return text + piece;
  }

  /** Appends to the present word; blanks that a variable brought in end it, as in a shell. */
  #addSplitting(piece: string, words: string[]): void {
    let start = 0;
    for (let index = 0; index <= piece.length; index++) {
      if (index < piece.length && !isSpace(piece.charCodeAt(index))) continue;
      this.#word += piece.slice(start, index);
      if (index < piece.length) this.#endWord(words);
      start = index + 1;
    }
  }

  /** Ends the present word. Empty ones do not count. */
  #endWord(words: string[]): void {
    if (this.#word === '') return;
    words.push(this.#word);
    this.#word = '';
  }

  /** What begins with a character that means something. */
  #special(char: number): string {
    switch (char) {
      case 0x24:
        return this.#dollar();
      case 0x3c:
        return this.#possibleHeredoc();
      case 0x27:
        return this.#singleQuoted();
      default:
        return this.#doubleQuoted();
    }
  }

  /** `<<` keeps the blanks behind it, so that `<< EOF` stays one word. */
  #possibleHeredoc(): string {
    this.#next();
    if (this.#peek() !== 0x3c) return '<';
    this.#next();
    const start = this.#position;
    while (' \t\r'.includes(this.#source[this.#position] ?? 'x')) this.#position++;
    return `<<${this.#source.slice(start, this.#position)}`;
  }

  /** Everything up to the next quote as it is. Not even the escape character means anything there. */
  #singleQuoted(): string {
    const start = this.#position;
    const end = this.#source.indexOf("'", start + 1);
    if (end < 0) {
      this.#position = this.#source.length;
      throw new LexFailure('unexpected end of statement while looking for matching single-quote');
    }
    this.#position = end + 1;
    return this.#options.rawQuotes ? this.#source.slice(start, end + 1) : this.#source.slice(start + 1, end);
  }

  /** Variables are replaced within. The escape character keeps its place but before a quote, a dollar or itself. */
  #doubleQuoted(): string {
    const quote = this.#options.rawQuotes ? '"' : '';
    this.#next();
    let text = quote;
    for (;;) {
      const char = this.#peek();
      if (char === EOF) throw new LexFailure('unexpected end of statement while looking for matching double-quote');
      if (char === 0x22) {
        this.#next();
        return text + quote;
      }
      if (char === 0x24) {
        text = this.#join(text, this.#dollar());
        continue;
      }
      let taken = this.#next();
      if (taken === this.#escape) {
        if (this.#rawEscapes) text += String.fromCodePoint(taken);
        const following = this.#peek();
        if (following === EOF) continue;
        if (following === 0x22 || following === 0x24 || following === this.#escape) taken = this.#next();
      }
      text += String.fromCodePoint(taken);
    }
  }

  /** `$name`, or `${name}` with a modifier. A dollar before nothing that could be a name is a dollar. */
  #dollar(): string {
    this.#next();
    if (this.#peek() !== 0x7b) {
      const name = this.#name();
      if (name === '') return '$';
      const value = this.#lookup(name);
      return value === undefined && this.#options.skipUnset ? `$${name}` : (value ?? '');
    }
    this.#next();
    const first = this.#peek();
    if (first === EOF) throw new LexFailure("syntax error: missing '}'");
    if (first === 0x7b || first === 0x7d || first === 0x3a) throw new LexFailure('syntax error: bad substitution');
    const name = this.#name();
    const operator = this.#nextText();
    if (operator === '}') {
      const value = this.#lookup(name);
      return value === undefined && this.#options.skipUnset ? `\${${name}}` : (value ?? '');
    }
    if (operator === ':') return this.#modified(name, this.#nextText(), true);
    if (operator === '/') return this.#replaced(name);
    if ('+-?#%'.includes(operator)) return this.#modified(name, operator, false);
    throw new LexFailure(`unsupported modifier (${operator}) in substitution`);
  }

  /** The next character, U+FFFD at the end. */
  #nextText(): string {
    const char = this.#next();
    return char === EOF ? '\uFFFD' : String.fromCodePoint(char);
  }

  /** `${name<operator>word}` and, with `nullIsUnset`, `${name:<operator>word}`; the operator is consumed already. */
  #modified(name: string, operator: string, nullIsUnset: boolean): string {
    const written = nullIsUnset ? `:${operator}` : operator;
    const isTrim = operator === '#' || operator === '%';
    if (nullIsUnset && isTrim) throw new LexFailure(`unsupported modifier (${written}) in substitution`);
    const word = this.#operand('}', isTrim);
    const value = this.#lookup(name);
    if (value === undefined && this.#options.skipUnset) return `\${${name}${written}${word}}`;
    const missing = value === undefined || (nullIsUnset && value === '');
    switch (operator) {
      case '-':
        return missing ? word : value;
      case '+':
        return missing ? '' : word;
      case '?':
        if (missing) {
          const state = value === undefined ? 'unset' : 'empty';
          throw new LexFailure(`${name}: ${word === '' ? `is not allowed to be ${state}` : word}`);
        }
        return value;
      case '#':
      case '%':
        return this.#trimmed(value ?? '', operator, word);
      default:
        throw new LexFailure(`unsupported modifier (${written}) in substitution`);
    }
  }

  /** `${name#pattern}` and `${name%pattern}`; doubled operators take the longest match. */
  #trimmed(value: string, operator: '#' | '%', word: string): string {
    const greedy = word.startsWith(operator);
    const pattern = greedy ? word.slice(1) : word;
    return patternErrors(() =>
      operator === '#' ? trimPrefix(pattern, value, greedy) : trimSuffix(pattern, value, greedy),
    );
  }

  /** `${name/pattern/replacement}`, and with `//` for all matches. */
  #replaced(name: string): string {
    const all = this.#peek() === 0x2f;
    if (all) this.#next();
    const pattern = this.#operand('/', true);
    const replacement = this.#operand('}', true);
    const value = this.#lookup(name);
    if (value === undefined && this.#options.skipUnset) return `\${${name}/${pattern}/${replacement}}`;
    return patternErrors(() => {
      const compiled = compilePattern(pattern);
      if (!all) return replaceFirst(compiled, value ?? '', replacement);
      return replaceAll(compiled, value ?? '', (whole) => expandTemplate(replacement, whole), this.#maxLength);
    });
  }

  /** A word within braces, with substitutions of its own. */
  #operand(stop: '}' | '/', rawEscapes: boolean): string {
    try {
      return this.#until(stop.charCodeAt(0), rawEscapes).text;
    } catch (error) {
      if (!(error instanceof LexFailure) || this.#peek() !== EOF) throw error;
      throw new LexFailure(stop === '}' ? "syntax error: missing '}'" : "syntax error: missing '/' in ${}");
    }
  }

  /** A name, a number, or one of the shell's special parameters. */
  #name(): string {
    const start = this.#position;
    const first = this.#peek();
    if (first === EOF) return '';
    if (isDigit(first)) {
      while (isDigit(this.#peek())) this.#next();
    } else if (first < 0x80 && SPECIAL_NAMES.includes(String.fromCharCode(first))) {
      this.#next();
    } else {
      for (let char = first; isLetter(char) || isDigit(char) || char === 0x5f; char = this.#peek()) this.#next();
    }
    return this.#source.slice(start, this.#position);
  }

  /** The value of a variable, noting whether there was one: lint rules ask. */
  #lookup(name: string): string | undefined {
    const value = this.#env.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    return value;
  }
}

/** A malformed pattern is a mistake in the word. */
function patternErrors<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof PatternError) throw new LexFailure(error.message);
    throw error;
  }
}

function isLetter(char: number): boolean {
  if (char < 0x80) return (char >= 0x41 && char <= 0x5a) || (char >= 0x61 && char <= 0x7a);
  return LETTER.test(String.fromCodePoint(char));
}

function isDigit(char: number): boolean {
  if (char < 0x80) return char >= 0x30 && char <= 0x39;
  return DIGIT.test(String.fromCodePoint(char));
}
