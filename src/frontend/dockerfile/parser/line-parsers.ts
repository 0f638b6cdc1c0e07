import { dockerfileError } from '../failure.ts';
import type { DockerfileNode, EscapeToken } from '../types.ts';
import { goQuote, isSpace, splitOnce, trimStart } from '../text.ts';
import { splitCommand } from './split-command.ts';

/** The arguments of one instruction. */
interface Arguments {
  readonly args: readonly string[];
  readonly json?: boolean;
  readonly child?: DockerfileNode;
}

type LineParser = (rest: string, escape: EscapeToken, depth: number) => Arguments;

/** ONBUILD nests this deep before it is refused; more than one level is an error anyway. */
const MAX_ONBUILD_DEPTH = 64;
/** Deeper JSON is no JSON to Go's decoder. */
const MAX_JSON_DEPTH = 10_000;

const NOTHING: Arguments = { args: [] };
const UNKNOWN: Arguments = { args: [''] };

const PARSERS: ReadonlyMap<string, LineParser> = new Map<string, LineParser>([
  ['add', jsonOrList],
  ['arg', (rest, escape) => ({ args: quotedWords(rest, escape) })],
  ['cmd', jsonOrText],
  ['copy', jsonOrList],
  ['entrypoint', jsonOrText],
  ['env', (rest, escape) => keyValues(rest, 'ENV', escape)],
  ['expose', list],
  ['from', list],
  ['healthcheck', healthcheck],
  ['label', (rest, escape) => keyValues(rest, 'LABEL', escape)],
  ['maintainer', text],
  ['onbuild', onbuild],
  ['run', jsonOrText],
  ['shell', jsonOrText],
  ['stopsignal', text],
  ['user', text],
  ['volume', jsonOrList],
  ['workdir', text],
]);

/** Names of all instructions, upper case. */
export const instructionNames: readonly string[] = [...PARSERS.keys()].map((name) => name.toUpperCase());

/**
 * Parses the text of one instruction, continuations joined. An unknown instruction is parsed without arguments.
 * @throws TsbuildError without a place
 */
export function parseInstructionLine(
  line: string,
  escape: EscapeToken,
  place: Pick<DockerfileNode, 'startLine' | 'endLine' | 'comments'>,
  depth = 0,
): DockerfileNode {
  const { keyword, flags, rest } = splitCommand(line, escape);
  const parser = PARSERS.get(keyword.toLowerCase());
  const { args, json = false, child } = parser ? parser(rest, escape, depth) : UNKNOWN;
  return {
    keyword,
    flags,
    args,
    json,
    original: line,
    heredocs: [],
    startLine: place.startLine,
    endLine: place.endLine,
    comments: place.comments,
    ...(child ? { child } : {}),
  };
}

function text(rest: string): Arguments {
  return rest === '' ? NOTHING : { args: [rest] };
}

function list(rest: string): Arguments {
  return rest === '' ? NOTHING : { args: rest.split(/[\t\v\f\r ]+/) };
}

/** JSON where it is an array of strings, else a text: `CMD [ "$x" = y ]` is a shell command. */
function jsonOrText(rest: string): Arguments {
  if (rest === '') return NOTHING;
  const array = jsonArray(rest);
  return array ? { args: array, json: true } : { args: [rest] };
}

function jsonOrList(rest: string): Arguments {
  const array = jsonArray(rest);
  return array ? { args: array, json: true } : list(rest);
}

/** The trigger is parsed too, so that its mistakes are found now and not by whoever builds on the image. */
function onbuild(rest: string, escape: EscapeToken, depth: number): Arguments {
  if (rest === '') return NOTHING;
  if (depth >= MAX_ONBUILD_DEPTH) throw dockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  return { args: [], child: parseInstructionLine(rest, escape, { startLine: 0, endLine: 0, comments: [] }, depth + 1) };
}

/** The type, then a JSON array or the rest of the line. */
function healthcheck(rest: string): Arguments {
  let end = 0;
  while (end < rest.length && !isSpace(rest.charCodeAt(end))) end++;
  if (end === 0) return NOTHING;
  const command = jsonOrText(trimStart(rest.slice(end)));
  return { args: [rest.slice(0, end), ...command.args], json: command.json ?? false };
}

/**
 * `key=value …`, or `key rest of the line` when the first word has no `=`. The result has three arguments for each pair: key,
 * value, and `=` or nothing.
 */
function keyValues(rest: string, name: string, escape: EscapeToken): Arguments {
  const words = quotedWords(rest, escape);
  const first = words[0];
  if (first === undefined) return NOTHING;
  if (!first.includes('=')) {
    const [key, value] = splitOnce(rest);
    if (value === undefined) throw dockerfileError(`${name} must have two arguments`);
    return { args: [key, value, ''] };
  }
  const args: string[] = [];
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw dockerfileError(`Syntax error - can't find = in ${goQuote(word)}. Must be of the form: name=value`);
    }
    args.push(word.slice(0, equals), word.slice(equals + 1), '=');
  }
  return { args };
}

/** Splits at blanks outside quotes. Quotes and escapes stay in the words. */
function quotedWords(rest: string, escape: EscapeToken): string[] {
  const words: string[] = [];
  let position = 0;
  for (;;) {
    while (position < rest.length && isSpace(rest.charCodeAt(position))) position++;
    if (position >= rest.length) return words;
    const { word, end, quoted } = readQuotedWord(rest, position, escape);
    position = end;
    if (quoted || word !== '') words.push(word);
  }
}

function readQuotedWord(
  rest: string,
  start: number,
  escape: EscapeToken,
): { word: string; end: number; quoted: boolean } {
  let word = '';
  let quote = '';
  let quoted = false;
  let position = start;
  for (; position < rest.length; position++) {
    const char = rest[position] ?? '';
    if (quote === '' && isSpace(rest.charCodeAt(position))) break;
    if (quote === '') {
      if (char === '"' || char === "'") {
        quote = char;
        quoted = true;
      }
    } else if (char === quote) {
      quote = '';
      word += char;
      continue;
    }
    // Nothing can be escaped in single quotes. An escape character at the very end is dropped.
    if (char === escape && quote !== "'") {
      if (position + 1 === rest.length) continue;
      word += char;
      position++;
      word += rest[position] ?? '';
      continue;
    }
    word += char;
  }
  return { word, end: position, quoted };
}

/**
 * The elements of a JSON array of strings; undefined for text that is not a JSON array, which is then taken as shell form.
 * @throws TsbuildError when an element is not a string
 */
function jsonArray(rest: string): readonly string[] | undefined {
  const source = trimStart(rest);
  if (!source.startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(source);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const strings: string[] = [];
  for (const element of parsed as readonly unknown[]) {
    if (typeof element === 'string') {
      strings.push(element.toWellFormed());
      continue;
    }
    // Go's decoder refuses these two where JavaScript's does not, and so they fall back to the shell form.
    if (jsonDepth(source) > MAX_JSON_DEPTH || holdsHugeNumber(parsed)) return undefined;
    throw dockerfileError('when using JSON array syntax, arrays must be comprised of strings only');
  }
  return strings;
}

/** Nesting of brackets, before JSON.parse gets to see them. */
function jsonDepth(source: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < source.length; index++) {
    const char = source[index];
    if (inString) {
      if (char === '\\') index++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '[' || char === '{') deepest = Math.max(deepest, ++depth);
    else if (char === ']' || char === '}') depth--;
  }
  return deepest;
}

function holdsHugeNumber(value: unknown): boolean {
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const item = pending.pop();
    if (typeof item === 'number' && !Number.isFinite(item)) return true;
    if (typeof item !== 'object' || item === null) continue;
    for (const child of Object.values(item)) pending.push(child);
  }
  return false;
}
