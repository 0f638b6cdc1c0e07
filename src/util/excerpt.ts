import { redactUrls } from './redact.ts';
import { sanitize, sanitizeLine } from './sanitize.ts';
import type { SourceFile, SourceRange } from './source.ts';

const RULE = '--------------------';

/** Characters of a line that are shown: nobody reads on, and a hostile file has one of a megabyte. */
const MAX_LINE = 1000;

/**
 * The lines around `ranges` with `>>>` before those that they name, as BuildKit prints them: two lines of context around one
 * line, one around several. Where columns are known a line of carets follows. Empty when no range is in the file.
 */
export function formatSourceExcerpt(file: SourceFile, ranges: readonly SourceRange[]): string {
  if (ranges.length === 0) return '';
  const lines = file.text.split('\n');
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  const marked = new Set<number>();
  for (const { startLine, endLine } of ranges) {
    first = Math.min(first, startLine);
    last = Math.max(last, startLine, endLine);
    for (let line = startLine; line <= Math.min(Math.max(startLine, endLine), lines.length); line++) marked.add(line);
  }
  if (first < 1 || first > lines.length) return '';
  last = Math.min(last, lines.length);
  const context = first === last ? 2 : 1;
  const out = [`${sanitizeLine(file.name, 4096)}:${first}`, RULE];
  for (let line = Math.max(1, first - context); line <= Math.min(lines.length, last + context); line++) {
    const whole = (lines[line - 1] ?? '').replace(/\r$/, '');
    const original = whole.slice(0, MAX_LINE);
    const text = redactUrls(original);
    const more = whole.length > MAX_LINE ? ' …' : '';
    out.push(` ${String(line).padStart(3)} | ${marked.has(line) ? '>>>' : '   '} ${sanitize(text)}${more}`);
    const carets = text === original ? underline(text, line, ranges) : '';
    if (carets !== '') out.push(`     |     ${carets}`);
  }
  out.push(RULE, '');
  return out.join('\n');
}

/** Carets below the columns of `text` that the ranges name, aligned with it: tabs stay tabs. */
function underline(text: string, line: number, ranges: readonly SourceRange[]): string {
  let end = 0;
  const columns = new Set<number>();
  for (const { startLine, endLine, startColumn, endColumn } of ranges) {
    if (startLine !== line || endLine !== line || startColumn === undefined || endColumn === undefined) continue;
    for (let column = startColumn; column <= Math.min(endColumn, text.length); column++) columns.add(column);
    end = Math.max(end, Math.min(endColumn, text.length));
  }
  let out = '';
  for (let column = 1; column <= end; column++) {
    const char = text[column - 1] ?? ' ';
    if (char === '\t') out += '\t';
    else out += (columns.has(column) ? '^' : ' ').repeat(sanitize(char).length);
  }
  return out;
}
