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
  ['number', /[+-]?(?:0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)/iy],
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
    if (kind !== 'string') return { token: { kind, text, at }, end };
    const value = unquote(template, at, text);
    // A character is a number.
    if (text.startsWith("'")) return { token: { kind: 'number', text: String(value.codePointAt(0) ?? 0), at }, end };
    return { token: { kind, text: value, at }, end };
  }
  return undefined;
}

/** The value of an interpreted string, a raw one or a character. */
function unquote(template: string, at: number, text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = {
    n: '\n',
    t: '\t',
    r: '\r',
    a: '\u0007',
    b: '\b',
    f: '\f',
    v: '\v',
  };
  return text.slice(1, -1).replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{3}|.)/gi, (_, code: string) => {
    if (/^[xuU].+/.test(code)) return String.fromCodePoint(Math.min(0x10ffff, parseInt(code.slice(1), 16)));
    if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(parseInt(code, 8));
    const known = escapes[code] ?? ('\\"\''.includes(code) ? code : undefined);
    if (known === undefined) throw templateError(template, at, `"\\${code}" is no escape`);
    return known;
  });
}
