import { display, isTrue, toJson } from './values.ts';

/** A function of templates. What it throws is told with its place. */
export type TemplateFunction = (...args: readonly unknown[]) => unknown;

const text = (value: unknown): string => (typeof value === 'string' ? value : display(value));

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
    if (value instanceof Map) value = (value as ReadonlyMap<unknown, unknown>).get(key) ?? '';
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

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  const items = typeof value === 'string' ? Buffer.from(value) : list(value);
  const [start, end] = [whole(from, 'the start'), to === undefined ? items.length : whole(to, 'the end')];
  if (start < 0 || end > items.length || start > end)
    throw new Error(`${start}:${end} is out of range: there are ${items.length}`);
  const part = items.slice(start, end);
  return Buffer.isBuffer(part) ? part.toString() : part;
}

/** Go wants both of a comparison to be of one kind. */
function order(a: unknown, b: unknown): number {
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string'))
    throw new Error(`${display(a)} and ${display(b)} cannot be compared`);
  return a === b ? 0 : a < (b as typeof a) ? -1 : 1;
}

/** The verbs that formats of images need: %s %v %d %q %t %x %f %%, with width and precision. */
function printf(format: unknown, ...args: readonly unknown[]): string {
  let next = 0;
  const printed = text(format).replace(
    /%(-?)(0?)(\d{0,4})(?:\.(\d{1,3}))?([a-zA-Z%])/g,
    (_, ...parts: readonly string[]) => {
      const [minus, zero, width = '', precision, verb = ''] = parts;
      if (verb === '%') return '%';
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const shown = formatOne(verb, args[next++], precision === undefined ? undefined : Number(precision));
      if (minus) return shown.padEnd(Number(width));
      if (!zero || typeof args[next - 1] !== 'number') return shown.padStart(Number(width));
      // Zeros stand behind the sign.
      const sign = shown.startsWith('-') ? '-' : '';
      return sign + shown.slice(sign.length).padStart(Number(width) - sign.length, '0');
    },
  );
  return printed;
}

function formatOne(verb: string, value: unknown, precision: number | undefined): string {
  switch (verb) {
    case 's':
    case 'v':
      return precision === undefined ? text(value) : text(value).slice(0, precision);
    case 'd':
      return String(whole(value, '%d'));
    case 'f':
      return Number(value).toFixed(precision ?? 6);
    case 't':
      return String(isTrue(value));
    case 'q':
      return JSON.stringify(text(value));
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(text(value)).toString('hex');
    default:
      throw new Error(`printf has no %${verb}`);
  }
}

/** Go's `fmt.Sprint`: a space between two that are no strings. */
function print(...args: readonly unknown[]): string {
  return args
    .map((value, at) => {
      const spaced = at > 0 && typeof value !== 'string' && typeof args[at - 1] !== 'string';
      return (spaced ? ' ' : '') + text(value);
    })
    .join('');
}

const HTML: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&#34;', "'": '&#39;' };

/** The functions of Go's text/template and those that docker and podman add. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1)],
  ['or', (...args) => args.find(isTrue) ?? args.at(-1)],
  ['not', (value) => !isTrue(value)],
  ['len', length],
  ['index', index],
  ['slice', slice],
  ['print', print],
  ['println', (...args) => `${args.map(text).join(' ')}\n`],
  ['printf', printf],
  ['eq', (first, ...others) => others.some((other) => other === first)],
  ['ne', (a, b) => a !== b],
  ['lt', (a, b) => order(a, b) < 0],
  ['le', (a, b) => order(a, b) <= 0],
  ['gt', (a, b) => order(a, b) > 0],
  ['ge', (a, b) => order(a, b) >= 0],
  ['urlquery', (...args) => encodeURIComponent(print(...args)).replaceAll('%20', '+')],
  ['html', (...args) => print(...args).replaceAll(/[<>&"']/g, (char) => HTML[char] ?? char)],
  ['json', (value) => toJson(value)],
  ['jsonPretty', (value) => toJson(value, 2)],
  ['join', (items, between = '') => list(items).map(text).join(text(between))],
  ['split', (value, at) => text(value).split(text(at))],
  ['lower', (value) => text(value).toLowerCase()],
  ['upper', (value) => text(value).toUpperCase()],
  ['title', (value) => text(value).replace(/(?<![\p{L}\p{N}'_])\p{L}/gu, (letter) => letter.toUpperCase())],
  ['trim', (value) => text(value).trim()],
  [
    'pad',
    (value, before, after) =>
      text(value) === ''
        ? ''
        : ' '.repeat(whole(before, 'the width')) + text(value) + ' '.repeat(whole(after, 'the width')),
  ],
  ['truncate', (value, size) => text(value).slice(0, whole(size, 'the length'))],
]);
