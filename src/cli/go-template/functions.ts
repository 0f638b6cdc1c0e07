import { isDeepStrictEqual } from 'node:util';
import { floatOf } from './float.ts';
import { printf } from './printf.ts';
import { display, isStruct, isTrue, toJson } from './values.ts';

/** A function of templates. */
export interface TemplateFunction {
  /** How many arguments it takes, at least and at most. */
  readonly takes: readonly [number, number];
  /** What it throws is told with its place. */
  readonly call: (...args: readonly unknown[]) => unknown;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : display(value));

/** An argument that Go wants to be a string. */
function word(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`${display(value)} is no string`);
}

function whole(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw new Error(`${what} is ${display(value)}, and not a whole number`);
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value === null || value === undefined) return [];
  throw new Error(`${display(value)} is not a list`);
}

function index(from: unknown, ...keys: readonly unknown[]): unknown {
  let value = from;
  for (const key of keys) {
    if (value instanceof Map) value = (value as ReadonlyMap<string, unknown>).get(word(key)) ?? '';
    else if (Array.isArray(value) || typeof value === 'string' || value === null) {
      const at = whole(key, 'the index');
      // Strings of Go are bytes.
      const items = typeof value === 'string' ? [...Buffer.from(value)] : (value ?? []);
      if (at < 0 || at >= items.length) throw new Error(`index ${at} is out of range: there are ${items.length}`);
      value = (items as readonly unknown[])[at];
    } else throw new Error(`${display(value)} has no index`);
  }
  return value;
}

function length(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (value instanceof Map) return value.size;
  throw new Error(`${display(value)} has no length`);
}

function slice(value: unknown, ...places: readonly unknown[]): unknown {
  const items = typeof value === 'string' ? Buffer.from(value) : list(value);
  if (places.length > 2 && typeof value === 'string') throw new Error('a string has no capacity');
  const [start, end] = [whole(places[0] ?? 0, 'the start'), whole(places[1] ?? items.length, 'the end')];
  const capacity = whole(places[2] ?? items.length, 'the capacity');
  if (start < 0 || start > end || end > capacity || capacity > items.length)
    throw new Error(`${start}:${end} is out of range: there are ${items.length}`);
  const part = items.slice(start, end);
  return Buffer.isBuffer(part) ? part.toString() : part;
}

/** Kinds of values that Go compares with their own alone: whole numbers are no floats. */
const kindOf = (value: unknown): string =>
  floatOf(value) !== undefined ? 'float' : isStruct(value) ? 'struct' : typeof value;

/** Go's `==`: of values of one kind, none of which is a list or a map. What is not there is like nothing that is. */
function same(a: unknown, b: unknown): boolean {
  const isAbsent = (value: unknown): boolean => value === undefined || value === null;
  if (isAbsent(a) || isAbsent(b)) return isAbsent(a) && isAbsent(b);
  if (kindOf(a) !== kindOf(b)) throw new Error(`${display(a)} and ${display(b)} cannot be compared`);
  if (kindOf(a) === 'object') throw new Error(`${display(a)} cannot be compared`);
  return isDeepStrictEqual(floatOf(a) ?? a, floatOf(b) ?? b);
}

/** Go wants both of a comparison to be of one kind. */
function order(a: unknown, b: unknown): number {
  const kind = kindOf(a);
  if (kind !== kindOf(b) || !['number', 'float', 'string'].includes(kind))
    throw new Error(`${display(a)} and ${display(b)} cannot be compared`);
  const [one, other] = [floatOf(a) ?? a, floatOf(b) ?? b] as [number, number];
  return one === other ? 0 : one < other ? -1 : 1;
}

/** What is printed of an argument: that there is none is told as Go does for functions. */
const shown = (value: unknown): string => (value === undefined ? '<nil>' : text(value));

/** Go's `url.QueryEscape`. */
const queryEscape = (value: string): string =>
  encodeURIComponent(value.toWellFormed())
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** Go's `fmt.Sprint`: a space between two that are no strings. */
function print(...args: readonly unknown[]): string {
  return args
    .map((value, at) => {
      const spaced = at > 0 && typeof value !== 'string' && typeof args[at - 1] !== 'string';
      return (spaced ? ' ' : '') + shown(value);
    })
    .join('');
}

/** What is escaped: of nothing Go's templates know no value there. */
const joined = (args: readonly unknown[]): string => print(...args.map((value) => value ?? display(value)));

const HTML: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\ufffd',
};

/** What `js` writes with a backslash, besides controls. */
const SCRIPT = /[\\'"]|[<>&=]|[\0-\x1f]|[^\0-\x7f\p{L}\p{M}\p{N}\p{P}\p{S}]/gu;

const escapeScript = (char: string): string =>
  '\\\'"'.includes(char) ? `\\${char}` : `\\u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

/** Every character on its own, as Go has it: one that would become two stays. */
const cased = (value: unknown, change: (char: string) => string): string =>
  Array.from(word(value), (char) => (change(char).length === char.length ? change(char) : char)).join('');

/** Letters at the beginning of words. Of ASCII, all but letters, digits and `_` are between words. */
const TITLE = /(?<![\p{L}\p{N}_]|[^\p{ASCII}\p{White_Space}])\p{L}/gu;

function pad(value: unknown, before: unknown, after: unknown): string {
  const [left, right] = [whole(before, 'the width'), whole(after, 'the width')];
  if (Math.min(left, right) < 0) throw new Error('a width is negative');
  return word(value) === '' ? '' : ' '.repeat(left) + word(value) + ' '.repeat(right);
}

/** Bytes, as `slice` has them. */
function truncate(value: unknown, size: unknown): unknown {
  const bytes = Buffer.byteLength(word(value));
  return slice(value, 0, Math.min(bytes, whole(size, 'the length')));
}

const ANY = Infinity;

/** The functions of Go's text/template, but for `call`, and those that docker and podman add. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', { takes: [1, ANY], call: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1) }],
  ['or', { takes: [1, ANY], call: (...args) => args.find(isTrue) ?? args.at(-1) }],
  ['not', { takes: [1, 1], call: (value) => !isTrue(value) }],
  ['len', { takes: [1, 1], call: length }],
  ['index', { takes: [1, ANY], call: index }],
  ['slice', { takes: [1, 4], call: slice }],
  ['print', { takes: [0, ANY], call: print }],
  ['println', { takes: [0, ANY], call: (...args) => `${args.map(shown).join(' ')}\n` }],
  ['printf', { takes: [1, ANY], call: printf }],
  ['eq', { takes: [2, ANY], call: (first, ...others) => others.some((other) => same(first, other)) }],
  ['ne', { takes: [2, 2], call: (a, b) => !same(a, b) }],
  ['lt', { takes: [2, 2], call: (a, b) => order(a, b) < 0 }],
  ['le', { takes: [2, 2], call: (a, b) => order(a, b) <= 0 }],
  ['gt', { takes: [2, 2], call: (a, b) => order(a, b) > 0 }],
  ['ge', { takes: [2, 2], call: (a, b) => order(a, b) >= 0 }],
  ['urlquery', { takes: [0, ANY], call: (...args) => queryEscape(joined(args)) }],
  ['html', { takes: [0, ANY], call: (...args) => joined(args).replaceAll(/[<>&"'\0]/g, (char) => HTML[char]!) }],
  ['js', { takes: [0, ANY], call: (...args) => joined(args).replaceAll(SCRIPT, escapeScript) }],
  ['json', { takes: [1, 1], call: (value) => toJson(value) }],
  ['jsonPretty', { takes: [1, 1], call: (value) => toJson(value, 2) }],
  ['join', { takes: [2, 2], call: (items, between) => list(items).map(text).join(word(between)) }],
  [
    'split',
    { takes: [2, 2], call: (value, at) => (at === '' ? Array.from(word(value)) : word(value).split(word(at))) },
  ],
  ['lower', { takes: [1, 1], call: (value) => cased(value, (char) => char.toLowerCase()) }],
  ['upper', { takes: [1, 1], call: (value) => cased(value, (char) => char.toUpperCase()) }],
  [
    'title',
    {
      takes: [1, 1],
      call: (value) => word(value).replace(TITLE, (letter) => cased(letter, (char) => char.toUpperCase())),
    },
  ],
  ['trim', { takes: [1, 1], call: (value) => word(value).trim() }],
  ['pad', { takes: [3, 3], call: pad }],
  ['truncate', { takes: [2, 2], call: truncate }],
]);
