import { contains, WORD } from './regex-reader.ts';

/** A place of a text without a character of its own: `^`, `$`, `\b`, `\B`. */
export type TextPlace = 'start' | 'end' | 'word' | 'notWord';
/** The same, and those of lines, which `^` and `$` mean with `(?m)`. */
export type Place = TextPlace | 'lineStart' | 'lineEnd';

const ESCAPES: ReadonlyMap<string, TextPlace> = new Map([
  ['A', 'start'],
  ['z', 'end'],
  ['b', 'word'],
  ['B', 'notWord'],
]);

/** The place that a backslash and `char` stand for; undefined when it is none. */
export function placeEscape(char: string): TextPlace | undefined {
  return ESCAPES.get(char);
}

/** Whether a place is there. @param position in characters, of which `codes` are the code points */
export function isPlace(place: Place, codes: readonly number[], position: number): boolean {
  switch (place) {
    case 'start':
      return position === 0;
    case 'end':
      return position === codes.length;
    case 'lineStart':
      return position === 0 || codes[position - 1] === 0x0a;
    case 'lineEnd':
      return position === codes.length || codes[position] === 0x0a;
    default: {
      const isWord = (at: number): boolean => at >= 0 && at < codes.length && contains(WORD, codes[at] ?? 0);
      return (isWord(position - 1) !== isWord(position)) === (place === 'word');
    }
  }
}
