const SHORT: Readonly<Record<string, string>> = {
  '\u0007': 'a',
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\v': 'v',
  '\\': '\\',
};

/** What Go's `unicode.IsPrint` leaves as it is. */
const PRINTED = /^[ \p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** Go's `strconv.Quote`. */
export function quote(text: string): string {
  return `"${Array.from(text, (char) => escaped(char, '"')).join('')}"`;
}

/** Go's `strconv.QuoteRune`: a number as the character that it is of. */
export function quoteChar(point: number): string {
  const isChar = point >= 0 && point <= 0x10_ffff && (point < 0xd800 || point > 0xdfff);
  return `'${escaped(isChar ? String.fromCodePoint(point) : '\ufffd', "'")}'`;
}

function escaped(char: string, mark: string): string {
  const short = SHORT[char] ?? (char === mark ? mark : undefined);
  if (short !== undefined) return `\\${short}`;
  if (PRINTED.test(char)) return char;
  const digits = (char.codePointAt(0) ?? 0).toString(16);
  if (char < ' ' || char === '\u007f') return `\\x${digits.padStart(2, '0')}`;
  return digits.length > 4 ? `\\U${digits.padStart(8, '0')}` : `\\u${digits.padStart(4, '0')}`;
}
