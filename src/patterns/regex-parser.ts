import { BadPatternError } from './file-match.ts';
import { placeEscape, type TextPlace } from './regex-place.ts';
import { type CharSet, codeOf, NOT_NEWLINE, RegexReader, single } from './regex-reader.ts';

/** A piece of a regular expression. */
export type Item =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'place'; readonly place: TextPlace }
  | { readonly kind: 'star'; readonly set: CharSet }
  /** `(set* separator)?` */
  | { readonly kind: 'optional'; readonly items: readonly Item[] };

/**
 * Reads the part of Go's regular expressions that comes out of path patterns.
 * @throws BadPatternError for what Go's regexp package refuses, and for Unicode classes (`\pL`)
 */
export function parseRegex(source: string): readonly Item[] {
  const reader = new RegexReader(source);
  const items = sequence(reader);
  if (reader.peek() !== undefined) throw new BadPatternError();
  return items;
}

function sequence(reader: RegexReader): Item[] {
  const items: Item[] = [];
  while (reader.peek() !== undefined && reader.peek() !== ')') readItem(reader, reader.next(), items);
  return items;
}

function readItem(reader: RegexReader, char: string, items: Item[]): void {
  switch (char) {
    case '^':
      items.push({ kind: 'place', place: 'start' });
      return;
    case '$':
      items.push({ kind: 'place', place: 'end' });
      return;
    case '(': {
      const inner = sequence(reader);
      // The only group that a pattern makes is optional.
      if (!reader.accept(')?')) throw new BadPatternError();
      items.push({ kind: 'optional', items: inner });
      return;
    }
    case '*': {
      const last = items.pop();
      if (last?.kind !== 'set') throw new BadPatternError();
      items.push({ kind: 'star', set: last.set });
      return;
    }
    case '.':
      items.push({ kind: 'set', set: NOT_NEWLINE });
      return;
    case '[':
      items.push({ kind: 'set', set: reader.set() });
      return;
    case '\\':
      readEscape(reader, items);
      return;
    default:
      items.push({ kind: 'set', set: single(codeOf(char)) });
  }
}

/** An escape outside a set. */
function readEscape(reader: RegexReader, items: Item[]): void {
  const char = reader.next();
  const place = placeEscape(char);
  if (place !== undefined) items.push({ kind: 'place', place });
  else if (char === 'C') throw new BadPatternError();
  else if (char === 'Q') items.push(...reader.quoted().map((code): Item => ({ kind: 'set', set: single(code) })));
  else items.push({ kind: 'set', set: reader.classEscape(char) ?? single(reader.charEscape(char)) });
}
