/** One change of a text: what stands from `start` to before `end` (offsets in UTF-16 units) becomes `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Changes that belong together: all of them are made, or none. */
export interface Fix {
  /** The lint rule that asks for it, or a name of our own. */
  readonly rule: string;
  /** First line of the instruction, from 1. */
  readonly line: number;
  readonly edits: readonly Edit[];
  /** Whether the image may be another one afterwards. */
  readonly unsafe: boolean;
}

/** The text with all edits made; they must not overlap. An insertion goes before a change that starts at the same place. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let out = '';
  let at = 0;
  for (const edit of inOrder(edits)) {
    out += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return out + text.slice(at);
}

/** Edits by where they begin, so that they can be applied in one pass. */
export function inOrder(edits: readonly Edit[]): readonly Edit[] {
  return edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** A part of a changed text: what stands in the original from `start` to before `end`, or new text. */
type Piece = { readonly start: number; readonly end: number } | { readonly text: string };

/**
 * Two rounds of edits as one: `second` is made of the text that `first` gives, the result of the original.
 * @param length of the original
 */
export function composeEdits(length: number, first: readonly Edit[], second: readonly Edit[]): readonly Edit[] {
  if (first.length === 0 || second.length === 0) return [...first, ...second];
  const pieces = cutUp(cutUp([{ start: 0, end: length }], first), second);
  const edits: Edit[] = [];
  let at = 0;
  let text = '';
  for (const piece of [...pieces, { start: length, end: length }]) {
    if ('text' in piece) {
      text += piece.text;
      continue;
    }
    if (text !== '' || piece.start > at) edits.push({ start: at, end: piece.start, text });
    at = piece.end;
    text = '';
  }
  return edits;
}

/** The pieces with edits made whose offsets count along them. */
function cutUp(pieces: readonly Piece[], edits: readonly Edit[]): readonly Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const { start, end, text } of inOrder(edits)) {
    out.push(...between(pieces, at, start));
    if (text !== '') out.push({ text });
    at = end;
  }
  out.push(...between(pieces, at, Number.POSITIVE_INFINITY));
  return out;
}

function between(pieces: readonly Piece[], from: number, to: number): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const size = 'text' in piece ? piece.text.length : piece.end - piece.start;
    const [first, last] = [Math.max(0, from - at), Math.min(size, to - at)];
    at += size;
    if (first >= last) continue;
    if ('text' in piece) out.push({ text: piece.text.slice(first, last) });
    else out.push({ start: piece.start + first, end: piece.start + last });
  }
  return out;
}
