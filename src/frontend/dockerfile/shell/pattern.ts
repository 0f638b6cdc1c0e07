import { TsbuildError } from '../../../util/index.ts';

/**
 * The wildcard patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `?` is one character, `*` any number, neither a line feed; a
 * backslash escapes these two and itself. Matching is linear in practice and bounded by a budget in any case: patterns and values
 * come from hostile Dockerfiles, so no backtracking regular expressions.
 */

/** A malformed pattern; the text has the pattern in it. */
export class PatternError extends Error {}

/** A pattern cut at its stars: literal runs of code points, where `ANY` stands for `?`. */
export interface Pattern {
  readonly segments: readonly (readonly number[])[];
}

const ANY = -1;
const NEWLINE = 0x0a;
/** Comparisons that one match or replacement may cost. */
const BUDGET = 50_000_000;

/** @throws PatternError for a backslash before anything but `*`, `?` and backslash */
export function compilePattern(pattern: string): Pattern {
  const chars = codePoints(pattern.startsWith('\uFEFF') ? pattern.slice(1) : pattern);
  const segments: number[][] = [];
  let segment: number[] = [];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] ?? 0;
    if (char === 0x2a) {
      segments.push(segment);
      segment = [];
    } else if (char === 0x3f) {
      segment.push(ANY);
    } else if (char !== 0x5c) {
      segment.push(char);
    } else {
      const escaped = chars[index + 1];
      // These two are escaped for the sake of `${…}`, not of the pattern.
      if (escaped === 0x7d || escaped === 0x2f) continue;
      if (escaped !== 0x2a && escaped !== 0x3f && escaped !== 0x5c) {
        const shown = escaped === undefined ? '\uFFFD' : String.fromCodePoint(escaped);
        throw new PatternError(`invalid pattern (${pattern}) in substitution: invalid escape '\\${shown}'`);
      }
      segment.push(escaped);
      index++;
    }
  }
  segments.push(segment);
  return { segments };
}

/** `${value#pattern}` and, when `longest`, `${value##pattern}`. */
export function trimPrefix(pattern: string, value: string, longest: boolean): string {
  const compiled = compilePattern(pattern);
  const chars = codePoints(value);
  const end = new Matcher(chars).prefix(compiled, 0, longest);
  return end < 0 ? value : fromCodePoints(chars, end);
}

/** `${value%pattern}` and, when `longest`, `${value%%pattern}`: a prefix of the reversed value. */
export function trimSuffix(pattern: string, value: string, longest: boolean): string {
  const trimmed = trimPrefix(reversePattern(pattern), reversed(value), longest);
  return reversed(trimmed);
}

/** `${value/pattern/replacement}`. */
export function replaceFirst(pattern: Pattern, value: string, replacement: string): string {
  const chars = codePoints(value);
  const found = new Matcher(chars).find(pattern, 0);
  if (!found) return value;
  return fromCodePoints(chars, 0, found.start) + replacement + fromCodePoints(chars, found.end);
}

/**
 * `${value//pattern/replacement}`. Matches are leftmost and longest and do not overlap; an empty one directly behind another
 * match does not count.
 * @param replace gives the text for what was matched
 * @param maxLength of the result
 */
export function replaceAll(
  pattern: Pattern,
  value: string,
  replace: (matched: string) => string,
  maxLength: number,
): string {
  const chars = codePoints(value);
  const matcher = new Matcher(chars);
  const parts: string[] = [];
  let length = 0;
  let copied = 0;
  for (let position = 0; position <= chars.length;) {
    const found = matcher.find(pattern, position);
    if (!found) break;
    parts.push(fromCodePoints(chars, copied, found.start));
    if (found.end > copied || found.start === 0) {
      const piece = replace(fromCodePoints(chars, found.start, found.end));
      length += piece.length;
      if (length > maxLength) {
        throw new TsbuildError('TSB_DOCKERFILE', `Cannot expand a replacement to more than ${maxLength} characters`);
      }
      parts.push(piece);
    }
    copied = found.end;
    position = Math.max(position + 1, found.end);
  }
  parts.push(fromCodePoints(chars, copied));
  return parts.join('');
}

/**
 * What BuildKit makes of `$` in the replacement of `${v//p/r}`: `$0` is the match, `$$` a dollar, any other name is empty (the
 * patterns have no groups), a lone `$` stays.
 */
export function expandTemplate(template: string, whole: string): string {
  if (!template.includes('$')) return template;
  return template.replaceAll(
    /\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu,
    (text, bare?: string, braced?: string) => {
      if (text === '$$') return '$';
      return /^0+$/.test(bare ?? braced ?? '') ? whole : '';
    },
  );
}

class Matcher {
  readonly #chars: readonly number[];
  #budget = BUDGET;

  constructor(chars: readonly number[]) {
    this.#chars = chars;
  }

  /** End of the shortest or longest match that starts at `start`, or -1. */
  prefix({ segments }: Pattern, start: number, longest: boolean): number {
    const first = segments[0] ?? [];
    if (!this.#matchesAt(first, start)) return -1;
    let position = start + first.length;
    // A star cannot pass a line feed, so within a line the earliest place for each run leaves the most to those behind it.
    for (let index = 1; index < segments.length; index++) {
      const segment = segments[index] ?? [];
      const isLast = index === segments.length - 1;
      const place = this.#place(segment, position, isLast && longest);
      if (place < 0) return -1;
      position = place + segment.length;
    }
    return position;
  }

  /** The leftmost match from `from` on, as long as it can be. */
  find(pattern: Pattern, from: number): { start: number; end: number } | undefined {
    const first = pattern.segments[0] ?? [];
    const skipsLine = pattern.segments.length > 1 && !first.includes(NEWLINE);
    for (let start = from; start <= this.#chars.length; start++) {
      if (!this.#matchesAt(first, start)) continue;
      const end = this.prefix(pattern, start, true);
      if (end >= 0) return { start, end };
      // What fits nowhere behind this place fits nowhere behind a later place of the same line either.
      if (skipsLine) start = this.#lineEnd(start);
    }
    return undefined;
  }

  /** The first or last place for `segment` that a star starting at `from` reaches, or -1. */
  #place(segment: readonly number[], from: number, last: boolean): number {
    const lineEnd = this.#lineEnd(from);
    const step = last ? -1 : 1;
    for (let place = last ? lineEnd : from; place >= from && place <= lineEnd; place += step) {
      if (this.#matchesAt(segment, place)) return place;
    }
    return -1;
  }

  #matchesAt(segment: readonly number[], position: number): boolean {
    if (position + segment.length > this.#chars.length) return false;
    let index = 0;
    while (index < segment.length) {
      const wanted = segment[index];
      const char = this.#chars[position + index];
      if (wanted === ANY ? char === NEWLINE : wanted !== char) break;
      index++;
    }
    this.#budget -= index + 1;
    if (this.#budget < 0) {
      throw new TsbuildError(
        'TSB_DOCKERFILE',
        'Cannot match a pattern in a substitution: it takes too many comparisons',
      );
    }
    return index === segment.length;
  }

  #lineEnd(from: number): number {
    const end = this.#chars.indexOf(NEWLINE, from);
    return end < 0 ? this.#chars.length : end;
  }
}

function reversePattern(pattern: string): string {
  const chars = Array.from(pattern);
  const out: string[] = [];
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index] ?? '';
    const next = chars[index + 1];
    if (char === '\\' && next !== undefined) {
      out.push(next, char);
      index++;
    } else {
      out.push(char);
    }
  }
  return out.reverse().join('');
}

function reversed(text: string): string {
  return Array.from(text).reverse().join('');
}

function codePoints(text: string): number[] {
  const out: number[] = [];
  for (let index = 0; index < text.length; index++) {
    const char = text.codePointAt(index) ?? 0;
    if (char > 0xffff) index++;
    out.push(char);
  }
  return out;
}

function fromCodePoints(chars: readonly number[], start: number, end: number = chars.length): string {
  let out = '';
  // In pieces: a spread of many arguments would overflow the stack.
  for (let index = start; index < end; index += 4096) {
    out += String.fromCodePoint(...chars.slice(index, Math.min(index + 4096, end)));
  }
  return out;
}
