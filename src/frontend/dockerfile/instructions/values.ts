import { dockerfileError } from '../failure.ts';
import { goQuote } from '../text.ts';

/** Readers of small values, with the results and error texts of the Go functions that BuildKit reads them with. */

/** strconv.ParseUint of 32 bits; undefined for anything else. */
export function parseUint32(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)) return undefined;
  const value = Number.parseInt(text, base);
  return value <= 0xffffffff ? value : undefined;
}

/** strconv.ParseInt of 32 bits. */
export function parseInt32(text: string): number {
  if (!/^[+-]?[0-9]+$/.test(text)) throw dockerfileError(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  const value = Number(text);
  if (value < -0x80000000 || value > 0x7fffffff) {
    throw dockerfileError(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`);
  }
  return value;
}

const UNITS = ['b', 'k', 'm', 'g', 't', 'p'];

/** A size in bytes with binary units (`128m`, `1.5 GiB`); undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  // Each digit has one place where it can belong, so that many of them take no longer than they are.
  const match = /^((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?) ?(b|[kmgtp](?:i?b)?)?$/i.exec(text);
  if (!match) return undefined;
  const power = UNITS.indexOf((match[2] ?? 'b').charAt(0).toLowerCase());
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const NANOSECONDS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);

/**
 * time.ParseDuration in nanoseconds: `1h30m`, `1.5s`, `-2ms`, `0`.
 * @throws TsbuildError with Go's text
 */
export function parseGoDuration(text: string): number {
  const invalid = (reason: string): Error => dockerfileError(`time: ${reason} ${goQuote(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '') throw invalid('invalid duration');
  let total = 0;
  while (rest !== '') {
    const number = /^[0-9]*(?:\.[0-9]*)?/.exec(rest)?.[0] ?? '';
    if (!/[0-9]/.test(number)) throw invalid('invalid duration');
    rest = rest.slice(number.length);
    const unit = /^[^.0-9]*/.exec(rest)?.[0] ?? '';
    if (unit === '') throw invalid('missing unit in duration');
    const factor = NANOSECONDS.get(unit);
    if (factor === undefined) throw invalid(`unknown unit ${goQuote(unit)} in duration`);
    rest = rest.slice(unit.length);
    total += nanoseconds(number, factor);
    if (total > 2 ** 63 - 1024) throw invalid('invalid duration');
  }
  return sign * total;
}

/** The whole part is exact; of the fraction what is less than a nanosecond is cut. */
function nanoseconds(number: string, factor: number): number {
  const [whole = '', fraction = ''] = number.split('.');
  return (
    Number(whole) * factor + Math.floor((Number(fraction.slice(0, 18)) * factor) / 10 ** Math.min(fraction.length, 18))
  );
}

/**
 * The fields of one CSV record, as `--mount` and `--device` have them.
 * @throws TsbuildError with the text of Go's csv package
 */
export function csvFields(text: string, what: string): string[] {
  const line = text.replace(/\r?\n$/, '');
  const fail = (column: number, reason: string): never => {
    throw dockerfileError(`failed to parse csv ${what}: parse error on line 1, column ${column + 1}: ${reason}`);
  };
  if (line === '') throw dockerfileError(`failed to parse csv ${what}: EOF`);
  const fields: string[] = [];
  for (let position = 0; ;) {
    if (line[position] === '"') {
      const { field, end } = quotedField(line, position, fail);
      fields.push(field);
      if (end >= line.length) return fields;
      position = end + 1;
      continue;
    }
    const comma = line.indexOf(',', position);
    const field = line.slice(position, comma < 0 ? line.length : comma);
    if (field.includes('"')) fail(position + field.indexOf('"'), 'bare " in non-quoted field');
    fields.push(field);
    if (comma < 0) return fields;
    position = comma + 1;
  }
}

function quotedField(
  line: string,
  start: number,
  fail: (column: number, reason: string) => never,
): { field: string; end: number } {
  let field = '';
  for (let position = start + 1; ;) {
    const quote = line.indexOf('"', position);
    if (quote < 0) return fail(line.length, 'extraneous or missing " in quoted-field');
    field += line.slice(position, quote);
    const following = line[quote + 1];
    if (following === undefined || following === ',') return { field, end: quote + 1 };
    if (following !== '"') return fail(quote, 'extraneous or missing " in quoted-field');
    field += '"';
    position = quote + 2;
  }
}
