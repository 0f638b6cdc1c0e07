import { TsbuildError } from '../../util/index.ts';

/** A piece of an action, with its place in the template. */
export interface Token {
  readonly kind:
    | 'text'
    | 'open'
    | 'close'
    | 'field'
    | 'dot'
    | 'variable'
    | 'word'
    | 'string'
    | 'number'
    | 'sign'
    | 'space';
  /** A string's value; the text of others, without `.` and `$` where they are part of the kind. */
  readonly text: string;
  readonly at: number;
}

/** The error of a template. @param at offset of the place */
export function templateError(template: string, at: number, why: string): TsbuildError {
  const line = template.slice(0, at).split('\n').length;
  const place = line > 1 ? `line ${line}, ` : '';
  const column = at - template.lastIndexOf('\n', at - 1);
  return new TsbuildError(
    'TSB_USAGE',
    `Cannot use the format ${JSON.stringify(template)}: ${why} (${place}column ${column})`,
    {
      hint: 'formats are Go templates, for example: {{.Id}}, {{json .Config}}, {{range .RepoTags}}{{println .}}{{end}}',
    },
  );
}

/** Within `{{ }}`, by the first alternative that matches. */
const PIECES: readonly (readonly [Token['kind'], RegExp])[] = [
  ['space', /[ \t\r\n]/y],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['number', /[+-]?(?:\d|\.\d)(?:(?<!0x[\da-f_]*)e[+-]|[.\p{L}\p{N}_])*/iuy],
  ['dot', /\./y],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'/y],
  ['sign', /:=|[=|(),]/y],
];

/**
 * Splits a template into text and the pieces of its actions. `{{-` and `-}}` take the white space beside them away, and comments are gone.
 * @throws TsbuildError `TSB_USAGE`
 */
export function lex(template: string): readonly Token[] {
  const tokens: Token[] = [];
  let trims = false;
  const addText = (from: number, to: number): void => {
    const text = trims ? template.slice(from, to).trimStart() : template.slice(from, to);
    const ended = /^\{\{-\s/.test(template.slice(to, to + 4)) ? text.trimEnd() : text;
    if (ended !== '') tokens.push({ kind: 'text', text: ended, at: from });
  };
  for (let at = 0; at < template.length;) {
    const open = template.indexOf('{{', at);
    if (open < 0) {
      addText(at, template.length);
      break;
    }
    addText(at, open);
    const inside = open + (/^\{\{-\s/.test(template.slice(open, open + 4)) ? 3 : 2);
    const comment = /^\s*\/\*[\s\S]*?\*\/(\s-)?\}\}/.exec(template.slice(inside));
    if (comment) {
      trims = comment[1] !== undefined;
      at = inside + comment[0].length;
      continue;
    }
    tokens.push({ kind: 'open', text: '{{', at: open });
    at = action(template, inside, tokens);
    trims = /\s-\}\}$/.test(template.slice(inside, at));
  }
  return tokens;
}

/** @returns where the action ends */
function action(template: string, start: number, tokens: Token[]): number {
  for (let at = start; at < template.length;) {
    const end = /^(?:\s-)?\}\}/.exec(template.slice(at, at + 4));
    if (end) {
      tokens.push({ kind: 'close', text: '}}', at });
      return at + end[0].length;
    }
    const piece = pieceAt(template, at);
    if (piece === undefined)
      throw templateError(
        template,
        at,
        `it has ${JSON.stringify(template[at] ?? '')} where nothing of the kind can be`,
      );
    tokens.push(piece.token);
    at = piece.end;
  }
  throw templateError(template, start - 2, 'an action is not closed with }}');
}

function pieceAt(template: string, at: number): { readonly token: Token; readonly end: number } | undefined {
  for (const [kind, pattern] of PIECES) {
    pattern.lastIndex = at;
    const text = pattern.exec(template)?.[0];
    if (text === undefined) continue;
    const end = at + text.length;
    if (kind === 'field' || kind === 'variable') return { token: { kind, text: text.slice(1), at }, end };
    if (kind === 'number') return { token: { kind, text: plainNumber(template, at, text), at }, end };
    if (kind !== 'string') return { token: { kind, text, at }, end };
    // A character is a number.
    if (text.startsWith("'")) return { token: { kind: 'number', text: character(template, at, text), at }, end };
    const value = text.startsWith('`') ? text.slice(1, -1) : unquote(template, at, text);
    return { token: { kind: 'string', text: value, at }, end };
  }
  return undefined;
}

const ESCAPE = /\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-3][0-7]{2}|.)/g;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
};

/** What stands in quotes, as bytes: these are what `\xc3\xa4` and `\303\244` name. */
function unquote(template: string, at: number, text: string): string {
  const parts: Buffer[] = [];
  let from = 1;
  for (const match of text.slice(0, -1).matchAll(ESCAPE)) {
    parts.push(Buffer.from(text.slice(from, match.index)), escaped(template, at, match[1] ?? '', text.slice(0, 1)));
    from = match.index + match[0].length;
  }
  return Buffer.concat([...parts, Buffer.from(text.slice(from, -1))]).toString();
}

/** @param quote the quote that may be escaped */
function escaped(template: string, at: number, code: string, quote: string): Buffer {
  if (/^x.|^\d{3}$/.test(code))
    return Buffer.from([code.startsWith('x') ? parseInt(code.slice(1), 16) : parseInt(code, 8)]);
  const point = /^[uU]./.test(code) ? parseInt(code.slice(1), 16) : undefined;
  const known = point === undefined ? (code === quote ? quote : ESCAPES[code]) : codePoint(point);
  if (known === undefined) throw templateError(template, at, `"\\${code}" is no escape`);
  return Buffer.from(known);
}

/** Halves of a pair are no characters. */
const codePoint = (point: number): string | undefined =>
  point > 0x10_ffff || (point >= 0xd800 && point < 0xe000) ? undefined : String.fromCodePoint(point);

/** The number of the one character that stands in quotes. */
function character(template: string, at: number, text: string): string {
  const byte = /^'\\(x[\da-fA-F]{2}|[0-3][0-7]{2})'$/.exec(text)?.[1];
  if (byte !== undefined) return String(byte.startsWith('x') ? parseInt(byte.slice(1), 16) : parseInt(byte, 8));
  const [char, ...others] = unquote(template, at, text);
  if (char === undefined || others.length > 0) throw templateError(template, at, `${text} is more than a character`);
  return String(char.codePointAt(0));
}

/** A number as Go writes it, in a form that JavaScript reads. */
function plainNumber(template: string, at: number, text: string): string {
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const plain = digits.replaceAll(/(?<=[\da-fA-F])_(?=[\da-fA-F])/g, '');
  const isWhole = /^(?:0x[\da-f]+|0o[0-7]+|0b[01]+|0[0-7]+|0|[1-9]\d*)$/i.test(plain);
  const value = Number(isWhole && /^0\d/.test(plain) ? `0o${plain.slice(1)}` : plain);
  if ((!isWhole && !/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(plain)) || (!isWhole && /^0?\d+$/.test(plain)))
    throw templateError(template, at, `${text} is no number`);
  if (isWhole ? !Number.isSafeInteger(value) : !Number.isFinite(value))
    throw templateError(template, at, `${text} is too large`);
  // One that is not whole keeps its point or exponent, which tell Go what it is.
  return isWhole ? String(sign === '-' ? -value : value) : sign + plain;
}
