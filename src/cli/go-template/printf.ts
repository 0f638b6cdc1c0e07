import { floatOf, longExponent, shortest } from './float.ts';
import { quote, quoteChar } from './quote.ts';
import { display, isStruct } from './values.ts';

/** `%[1]-08.3f`: flags, which argument, width and precision, which may be arguments (`*`), and the verb. */
const DIRECTIVE = /%([-+# 0]*)(?:\[(\d{1,4})\])?(\*|\d{1,4})?(\.(?:\*|\d{1,2})?)?(\p{L}|[%!])?/gu;

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly verb: string;
}

/**
 * Go's `fmt.Sprintf` with the verbs that formats need: s v q x X for what is shown as text, d x X o b c U for whole numbers, e f g for others, t.
 * What a value cannot be printed as is refused, where Go prints `%!d(string=a)` and goes on.
 * @throws Error that says which verb
 */
export function printf(format: unknown, ...args: readonly unknown[]): string {
  if (typeof format !== 'string') throw new Error(`the format is ${display(format)}, and no string`);
  let next = 0;
  let inOrder = true;
  const amount = (digits: string): number => (digits === '*' ? starred(args[next++]) : Number(digits));
  const one = (_: string, flags: string, place?: string, width?: string, point?: string, verb?: string): string => {
    if (place !== undefined) [next, inOrder] = [Number(place) - 1, false];
    const wide = width === undefined ? 0 : amount(width);
    const precision = point === undefined ? undefined : amount(point.slice(1));
    if (verb === undefined) return '%!(NOVERB)';
    if (verb === '%') return '%';
    if (next < 0 || next >= args.length) return `%!${verb}(${inOrder ? 'MISSING' : 'BADINDEX'})`;
    // A negative width that is an argument is one to the left.
    return print({ flags: wide < 0 ? `${flags}-` : flags, width: Math.abs(wide), precision, verb }, args[next++]);
  };
  const printed = format.replace(DIRECTIVE, one);
  const extra = inOrder ? args.slice(next) : [];
  return extra.length === 0 ? printed : `${printed}%!(EXTRA ${extra.map(withType).join(', ')})`;
}

function starred(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 10_000) return value;
  throw new Error(`${display(value)} stands for *, and is no small whole number`);
}

const TYPES: Readonly<Record<string, string>> = { string: 'string', boolean: 'bool', number: 'int' };
const withType = (value: unknown): string =>
  `${floatOf(value) === undefined ? (TYPES[typeof value] ?? 'interface {}') : 'float64'}=${display(value)}`;

/** A value with its width. A verb goes to each element of a list, a map and a struct, as in Go. */
function print(directive: Directive, value: unknown): string {
  const each = (item: unknown): string => print(directive, item);
  if (Array.isArray(value)) return `[${value.map(each).join(' ')}]`;
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${each(key)}:${each(item)}`).join(' ')}]`;
  }
  if (isStruct(value)) {
    // With +, fields have their names.
    const named = directive.verb === 'v' && directive.flags.includes('+');
    const fields = Object.entries(value).filter(([, item]) => typeof item !== 'function');
    return `{${fields.map(([name, item]) => `${named ? `${name}:` : ''}${each(item)}`).join(' ')}}`;
  }
  return padded(directive, value, formatOne(directive, value));
}

function padded({ width, flags }: Directive, value: unknown, shown: string): string {
  const missing = width - Array.from(shown).length;
  if (missing <= 0) return shown;
  if (flags.includes('-')) return shown + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + shown;
  // Zeros stand behind the sign of a number.
  const sign = (typeof value === 'number' || floatOf(value) !== undefined) && /^[-+ ]/.test(shown) ? 1 : 0;
  return shown.slice(0, sign) + '0'.repeat(missing) + shown.slice(sign);
}

function formatOne(directive: Directive, value: unknown): string {
  const { verb, flags } = directive;
  const float = floatOf(value);
  const isNumber = typeof value === 'number' || float !== undefined;
  if (verb === 't' && typeof value === 'boolean') return String(value);
  if ('dobcU'.includes(verb) || (isNumber && 'xX'.includes(verb))) return whole(directive, value);
  if (float !== undefined && 'eEfFgG'.includes(verb)) return signed(flags, float, decimal(directive, Math.abs(float)));
  if ('sv'.includes(verb) && !flags.includes('#')) return textOf(directive, value);
  if (verb === 'q' && !/[+#]/.test(flags))
    return typeof value === 'number' && float === undefined
      ? quoteChar(value)
      : quote(cut(directive, shownText(value)));
  if ('xX'.includes(verb) && !flags.includes('#')) return hex(directive, cut(directive, shownText(value)));
  throw new Error(`printf has no %${/[+#]/.exec(flags)?.[0] ?? ''}${verb} for ${display(value)}`);
}

/** Minus, or what the flags have in the place of a plus. */
const signed = (flags: string, value: number, shown: string): string =>
  (value < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '') + shown;

/** Bases of numbers, with what `#` sets before. */
const BASES: Readonly<Record<string, readonly [number, string]>> = {
  d: [10, ''],
  o: [8, '0'],
  b: [2, '0b'],
  x: [16, '0x'],
  X: [16, '0X'],
};

function whole({ verb, flags, precision }: Directive, value: unknown): string {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new Error(`%${verb} is ${display(value)}, and not a whole number`);
  const [base, mark] = BASES[verb] ?? [16, ''];
  const plain = Math.abs(value).toString(base);
  const digits = (base === 16 && verb !== 'x' ? plain.toUpperCase() : plain).padStart(precision ?? 0, '0');
  if (verb === 'U') return `U+${digits.padStart(4, '0')}`;
  if (verb === 'c') return String.fromCodePoint(value >= 0 && value <= 0x10_ffff ? value : 0xfffd);
  return signed(flags, value, (flags.includes('#') ? mark : '') + digits);
}

function decimal({ verb, precision }: Directive, value: number): string {
  const small = verb.toLowerCase();
  const shown =
    small === 'f'
      ? fixed(value, precision ?? 6)
      : small === 'e'
        ? longExponent(value.toExponential(precision ?? 6))
        : shortest(value, precision);
  return verb === small ? shown : shown.toUpperCase();
}

/** Digits behind the point, as many as JavaScript writes. */
const EXACT = 100;

/** Rounded to the nearest, and to the even of two that are as near, as in Go. @param value not negative */
function fixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits);
  if (value >= 1e21) return BigInt(value).toString() + (digits === 0 ? '' : `.${'0'.repeat(digits)}`);
  // More than a number with a tie can have.
  const [before = '', fraction = ''] = value.toFixed(EXACT).split('.');
  const kept = digits === 0 ? before : `${before}.${fraction.slice(0, digits)}`;
  const isTie = /^50*$/.test(fraction.slice(digits));
  return isTie && '02468'.includes(kept.at(-1) ?? '') ? kept : rounded;
}

function cut({ precision }: Directive, shown: string): string {
  return precision === undefined ? shown : Array.from(shown).slice(0, precision).join('');
}

const shownText = (value: unknown): string => (value === undefined ? '<nil>' : display(value));

/** `%s` and `%v`. With +, `%v` has names of fields, and no more. */
function textOf(directive: Directive, value: unknown): string {
  if (typeof value === 'string') return cut(directive, value);
  const float = floatOf(value);
  if ((typeof value !== 'number' && float === undefined) || directive.verb !== 'v') return shownText(value);
  const flags = directive.flags.replaceAll('+', '');
  if (float !== undefined) return signed(flags, float, decimal({ ...directive, verb: 'g' }, Math.abs(float)));
  return whole({ ...directive, flags, verb: 'd' }, value);
}

function hex({ flags, verb }: Directive, shown: string): string {
  const bytes = [...Buffer.from(shown)].map((byte) => byte.toString(16).padStart(2, '0'));
  const joined = bytes.join(flags.includes(' ') ? ' ' : '');
  return verb === 'X' ? joined.toUpperCase() : joined;
}
