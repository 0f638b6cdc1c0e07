import { type Item, parseRegex } from './regex-parser.ts';
import { isPlace, type TextPlace } from './regex-place.ts';
import { type CharSet, codeOf, complement, contains, MAX_CODE_POINT } from './regex-reader.ts';

/**
 * Regular expressions on paths, matched without backtracking: hostile patterns such as `*a*a*a*a*b` take time linear in the
 * path. Simple ones on short paths run on the built-in engine, which is faster.
 */

/** Whether a path matches, or with `orParent` the path or any directory above it. */
export type PathTest = (path: string, orParent?: boolean) => boolean;

/** With more repetitions, or for longer paths, a backtracking engine could take long. */
const MAX_BUILTIN_STARS = 2;
/** V8 refuses expressions of some ten thousand characters; no path is as long as this. */
const MAX_BUILTIN_ITEMS = 4096;
const MAX_BUILTIN_PATH = 256;

const SLASH = 0x2f;

/** Makes a test for paths of one that takes no account of parents. */
export function withParents(test: (path: string) => boolean): PathTest {
  return (path, orParent = false) => {
    if (test(path)) return true;
    if (!orParent) return false;
    for (let end = path.indexOf('/', 1); end > 0; end = path.indexOf('/', end + 1)) {
      if (test(path.slice(0, end))) return true;
    }
    return false;
  };
}

/**
 * Compiles an expression that is anchored at both ends.
 * @throws BadPatternError for what Go's regexp package refuses
 */
export function compileRegex(source: string): PathTest {
  const items = parseRegex(source);
  let program: readonly Op[] | undefined;
  const slow: PathTest = (path, orParent = false) => simulate((program ??= assemble(items)), path, orParent);
  if (countStars(items) > MAX_BUILTIN_STARS || items.length > MAX_BUILTIN_ITEMS) return slow;
  const regex = new RegExp(toSource(items), needsUnicode(items) ? 'u' : '');
  const fast = withParents((path) => regex.test(path));
  return (path, orParent) => (path.length > MAX_BUILTIN_PATH ? slow : fast)(path, orParent);
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

const PLACES: Readonly<Record<TextPlace, string>> = { start: '^', end: '$', word: '\\b', notWord: '\\B' };

function itemSource(item: Item): string {
  switch (item.kind) {
    case 'place':
      return PLACES[item.place];
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

/** A character as it may stand in a regular expression. */
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
    if (item.kind === 'place') return false;
    const isPlain = item.set.every(([low, high]) => low <= 0xffff && (high <= 0xffff || high === MAX_CODE_POINT));
    return !isPlain || (item.kind === 'set' && !isSingle(item.set));
  });
}

/** Instructions of the simulated machine. `jump` goes to two places at once. */
type Op =
  | { readonly op: 'set'; readonly set: CharSet }
  | { readonly op: 'place'; readonly place: TextPlace }
  | { readonly op: 'jump'; readonly first: number; readonly second: number };

function assemble(items: readonly Item[]): readonly Op[] {
  const program: Op[] = [];
  const add = (list: readonly Item[]): void => {
    for (const item of list) {
      const at = program.length;
      if (item.kind === 'set') program.push({ op: 'set', set: item.set });
      else if (item.kind === 'place') program.push({ op: 'place', place: item.place });
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

/** Follows all possibilities at once, character by character. */
function simulate(program: readonly Op[], path: string, orParent: boolean): boolean {
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
      else if (isPlace(op.place, chars, position)) pending.push(at + 1);
      else if (orParent && op.place === 'end' && chars[position] === SLASH && at + 1 === program.length) {
        // The path of a directory ends here.
        pending.push(at + 1);
      }
    }
  };
  reach(0, 0, current);
  for (let position = 0; position < chars.length && current.length > 0; position++) {
    if (position > 0 && current.includes(program.length)) return true;
    const next: number[] = [];
    for (const at of current) {
      const op = program[at];
      if (op?.op === 'set' && contains(op.set, chars[position] ?? 0)) reach(at + 1, position + 1, next);
    }
    current = next;
  }
  return current.includes(program.length);
}
