import type { EscapeToken } from '../types.ts';
import { splitOnce, trimSpace } from '../text.ts';

/** A line cut into its parts. */
export interface SplitCommand {
  readonly keyword: string;
  readonly flags: readonly string[];
  readonly rest: string;
}

/** Takes an instruction's text apart: its name, the flags in front, and the rest, trimmed. */
export function splitCommand(line: string, escape: EscapeToken): SplitCommand {
  const [keyword, tail] = splitOnce(trimSpace(line));
  if (tail === undefined) return { keyword, flags: [], rest: '' };
  const { flags, rest } = extractFlags(tail, escape);
  return { keyword, flags, rest: trimSpace(rest) };
}

/**
 * Reads the words in front that start with `--`. Quotes group and vanish, the escape character takes the next one literally.
 * A bare `--` ends the flags and is dropped.
 */
function extractFlags(line: string, escape: EscapeToken): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let position = 0;
  for (;;) {
    while (isBlank(line[position])) position++;
    if (!line.startsWith('--', position)) return { flags, rest: line.slice(position) };
    const { word, end } = readFlag(line, position, escape);
    position = end;
    if (word === '--') return { flags, rest: line.slice(position) };
    flags.push(word);
  }
}

function readFlag(line: string, start: number, escape: EscapeToken): { word: string; end: number } {
  let word = '';
  let quote = '';
  let position = start;
  for (; position < line.length; position++) {
    let char = line[position] ?? '';
    if (quote === '' && isBlank(char)) break;
    if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      continue;
    }
    if (quote !== '' && char === quote) {
      quote = '';
      continue;
    }
    if (char === escape) {
      if (position + 1 === line.length) continue;
      position++;
      char = line[position] ?? '';
    }
    word += char;
  }
  return { word, end: position };
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\v' || char === '\f' || char === '\r';
}
