import { sanitizeLine, type SourceFile, type SourceRange } from '../../../util/index.ts';

/** Rows in columns, each as wide as its widest cell and `padding` blanks; the last cell of a row is not padded. */
export function table(rows: readonly (readonly string[])[], padding: number): string {
  const widths: number[] = [];
  const printable = rows.map((row) => row.map((cell) => sanitizeLine(cell)));
  for (const row of printable) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const lines = printable.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + padding)))
      .join(''),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** Indented JSON that ends with a line feed, safe to embed in HTML as Go's encoder makes it. */
export function json(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}

/** A place as BuildKit's JSON has it: one range for each line. */
export interface JsonLocation {
  readonly sourceIndex?: number;
  readonly ranges: readonly { readonly start: { readonly line: number }; readonly end: { readonly line: number } }[];
}

/** Undefined for no place at all. @param source which of several files it is in; the first is left out, as protobuf has it */
export function jsonLocation(ranges: readonly SourceRange[], source = 0): JsonLocation | undefined {
  if (ranges.length === 0) return undefined;
  return {
    ...(source === 0 ? {} : { sourceIndex: source }),
    ranges: ranges.map(({ startLine, endLine }) => ({ start: { line: startLine }, end: { line: endLine } })),
  };
}

/** A file's content in base64. */
export function jsonSource(file: SourceFile): string {
  return Buffer.from(file.text).toString('base64');
}
