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
const withType = (value: unknown): string => `${TYPES[typeof value] ?? 'interface {}'}=${display(value)}`;

/** A value with its width. A verb goes to each element of a list. */
function print(directive: Directive, value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => print(directive, item)).join(' ')}]`;
  const shown = formatOne(directive, value);
  const missing = directive.width - Array.from(shown).length;
  if (missing <= 0) return shown;
  if (directive.flags.includes('-')) return shown + ' '.repeat(missing);
  if (!directive.flags.includes('0') || typeof value !== 'number') return ' '.repeat(missing) + shown;
  // Zeros stand behind the sign.
  const sign = /^[-+ ]/.test(shown) ? 1 : 0;
  return shown.slice(0, sign) + '0'.repeat(missing) + shown.slice(sign);
}

function formatOne(directive: Directive, value: unknown): string {
  const { verb, flags } = directive;
  const isNumber = typeof value === 'number';
  if (verb === 't' && typeof value === 'boolean') return String(value);
  if ('dobcU'.includes(verb) || (isNumber && 'xX'.includes(verb))) return whole(directive, value);
  if (isNumber && 'eEfFgG'.includes(verb)) return signed(flags, value, decimal(directive, Math.abs(value)));
  if ('sv'.includes(verb) && !flags.includes('#')) return cut(directive, textOf(directive, value));
  if (verb === 'q' && !/[+#]/.test(flags)) return JSON.stringify(cut(directive, textOf(directive, value)));
  if ('xX'.includes(verb) && !flags.includes('#')) return hex(directive, cut(directive, textOf(directive, value)));
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
  // Exponents have two digits at least.
  const exponent = (shown: string): string => shown.replace(/e([-+])(\d)$/, 'e$10$2');
  const shown =
    small === 'f'
      ? value.toFixed(precision ?? 6)
      : small === 'e'
        ? exponent(value.toExponential(precision ?? 6))
        : exponent(shortest(value, precision));
  return verb === small ? shown : shown.toUpperCase();
}

/** `%g`: as few digits as tell the number, with an exponent where it is large or small. */
function shortest(value: number, precision: number | undefined): string {
  const exact = precision === undefined ? value : Number(value.toPrecision(Math.max(1, precision)));
  const power = exact === 0 ? 0 : Math.floor(Math.log10(exact));
  return power < -4 || power >= (precision === undefined ? 21 : Math.max(1, precision))
    ? exact.toExponential()
    : String(exact);
}

function cut({ precision }: Directive, shown: string): string {
  return precision === undefined ? shown : Array.from(shown).slice(0, precision).join('');
}

function textOf({ flags, verb }: Directive, value: unknown): string {
  if (value === undefined) return '<nil>';
  if (typeof value === 'number' && verb === 'v') return signed(flags, value, display(Math.abs(value)));
  if (!flags.includes('+') || !isStruct(value)) return display(value);
  // With +, fields have their names.
  return `{${Object.entries(value)
    .map(([name, item]) => `${name}:${textOf({ flags, verb, width: 0, precision: undefined }, item)}`)
    .join(' ')}}`;
}

function hex({ flags, verb }: Directive, shown: string): string {
  const bytes = [...Buffer.from(shown)].map((byte) => byte.toString(16).padStart(2, '0'));
  const joined = bytes.join(flags.includes(' ') ? ' ' : '');
  return verb === 'X' ? joined.toUpperCase() : joined;
}
