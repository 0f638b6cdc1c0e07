import type { SourceFile } from '../../../util/index.ts';
import { dockerfileError, lineRanges } from '../failure.ts';
import type { Directive, EscapeToken } from '../types.ts';
import { trimStart } from '../text.ts';

/** Parser directives that BuildKit has: `# syntax=`, `# escape=`, `# check=`. */
export type DirectiveName = 'syntax' | 'escape' | 'check';

const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=(.*)$/s;

/**
 * Reads parser directives (`# key=value`) line by line. The first line that is not one ends them, an unknown key included.
 */
export class DirectiveScanner {
  readonly #marker: string;
  readonly #seen = new Set<DirectiveName>();
  #done = false;

  /** @param marker how a comment starts: `#`, `//`, or nothing for a line whose marker is gone already */
  constructor(marker = '#') {
    this.#marker = marker;
  }

  /** @throws TsbuildError without a place when a directive comes twice */
  scan(line: string): { readonly name: DirectiveName; readonly value: string } | undefined {
    if (this.#done) return undefined;
    const found = line.startsWith(this.#marker) ? parseComment(line.slice(this.#marker.length)) : undefined;
    if (!found) {
      this.#done = true;
      return undefined;
    }
    if (this.#seen.has(found.name)) throw dockerfileError(`only one ${found.name} parser directive can be used`);
    this.#seen.add(found.name);
    return found;
  }

  get done(): boolean {
    return this.#done;
  }
}

function parseComment(text: string): { name: DirectiveName; value: string } | undefined {
  const match = DIRECTIVE.exec(trimStart(text));
  if (!match) return undefined;
  const name = (match[1] ?? '').toLowerCase();
  const tail = match[2] ?? '';
  const trimmed = tail.replace(/^[\t\n\f\r ]+/, '').replace(/(?<![\t\n\f\r ])[\t\n\f\r ]+$/, '');
  // Of a value that is all blanks, one blank is the value.
  const value = trimmed === '' ? tail.slice(-1) : trimmed;
  if (value === '' || value.includes('\n')) return undefined;
  return name === 'syntax' || name === 'escape' || name === 'check' ? { name, value } : undefined;
}

/** @throws TsbuildError without a place for anything but the two characters allowed */
export function escapeToken(value: string): EscapeToken {
  if (value === '\\' || value === '`') return value;
  throw dockerfileError(`invalid escape token '${value}' does not match \` or \\`);
}

/**
 * The value of one directive of a Dockerfile; a leading `#!` line is skipped. Unlike the parser itself it takes directives in
 * column 0 only. A second directive of the same name ends the search.
 */
export function parseDirective(name: DirectiveName, file: SourceFile): Directive | undefined {
  return findDirective(name, file, '#');
}

/**
 * The `syntax` that any input file names, in a `#` or `//` comment or in the key `syntax` of a JSON object.
 * The value up to the first blank is the frontend.
 */
export function detectSyntax(file: SourceFile): Directive | undefined {
  const found = findDirective('syntax', file, '#') ?? findDirective('syntax', file, '//');
  if (found) return found;
  const { text, line } = withoutPreamble(file.text);
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const object: unknown = JSON.parse(text);
    const value = typeof object === 'object' && object !== null ? Reflect.get(object, 'syntax') : undefined;
    return typeof value === 'string' ? { value, ranges: lineRanges(file.name, line + 1, line + 1) } : undefined;
  } catch {
    return undefined;
  }
}

function findDirective(name: DirectiveName, file: SourceFile, marker: string): Directive | undefined {
  const { text, line: skipped } = withoutPreamble(file.text);
  const scanner = new DirectiveScanner(marker);
  let line = skipped;
  for (let start = 0; start < text.length && !scanner.done;) {
    const end = text.indexOf('\n', start);
    const raw = text.slice(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
    line++;
    try {
      const found = scanner.scan(raw.endsWith('\r') ? raw.slice(0, -1) : raw);
      if (found?.name === name) return { value: found.value, ranges: lineRanges(file.name, line, line) };
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** A line `#!…` or a byte order mark may come before directives. */
function withoutPreamble(source: string): { text: string; line: number } {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  if (!text.startsWith('#!')) return { text, line: 0 };
  const end = text.indexOf('\n');
  return { text: end < 0 ? '' : text.slice(end + 1), line: 1 };
}
