import type { DockerfileNode, Heredoc } from '../types.ts';
import { expandWords, type LexOptions } from '../shell/lex.ts';
import { TsbuildError } from '../../../util/index.ts';

/** A heredoc's head, its body yet unread. */
export type HeredocHead = Omit<Heredoc, 'content'>;

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();
const HEREDOC_KEYWORDS: ReadonlySet<string> = new Set(['add', 'copy', 'run']);

/**
 * Reads a word such as `<<EOF`, `<<-"EOF"` or `3<<EOF`, with its quotes; undefined when it is none.
 * @throws TsbuildError when the delimiter cannot be lexed
 */
export function parseHeredocWord(word: string): HeredocHead | undefined {
  let position = 0;
  while (/^[0-9]$/.test(word[position] ?? '')) position++;
  if (!word.startsWith('<<', position)) return undefined;
  const fd = Number(word.slice(0, position));
  position += 2;
  const chomp = word[position] === '-';
  if (chomp) position++;
  while (' \t\n\f\r'.includes(word[position] ?? 'x')) position++;
  const delimiter = word.slice(position);
  if (delimiter === '' || delimiter.includes('<')) return undefined;

  const plain = lex(delimiter, {});
  if (plain.length !== 1) return undefined;
  const raw = lex(delimiter, { rawQuotes: true });
  const name = plain[0] ?? '';
  // A quote that vanishes shows that a part of the delimiter was quoted.
  return { name, fd, chomp, expand: countQuotes(name) === countQuotes(raw[0] ?? '') };
}

function lex(text: string, options: LexOptions): readonly string[] {
  return expandWords(text, NO_VARIABLES, { ...options, skipUnset: true });
}

function countQuotes(text: string): number {
  let count = 0;
  for (const char of text) if (char === '"' || char === "'") count++;
  return count;
}

/** Like `parseHeredocWord`, and undefined for a delimiter that cannot be lexed. */
export function asHeredocWord(word: string): HeredocHead | undefined {
  try {
    return parseHeredocWord(word);
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}

/** The heredocs that an instruction's line announces, in order. A line that cannot be lexed as shell words has none. */
export function heredocsOfLine(line: string): HeredocHead[] {
  const heads: HeredocHead[] = [];
  for (const word of shellWords(line)) {
    const head = parseHeredocWord(word);
    if (head) heads.push(head);
  }
  return heads;
}

function shellWords(line: string): readonly string[] {
  try {
    return lex(line, { rawQuotes: true, rawEscapes: true });
  } catch (error) {
    if (error instanceof TsbuildError) return [];
    throw error;
  }
}

/** Whether the instruction can have heredocs: ADD, COPY, RUN, and ONBUILD of them, not in JSON form. */
export function takesHeredocs(node: Pick<DockerfileNode, 'keyword' | 'json' | 'child'>): boolean {
  const inner = node.keyword.toLowerCase() === 'onbuild' ? (node.child ?? node) : node;
  return HEREDOC_KEYWORDS.has(inner.keyword.toLowerCase()) && !inner.json;
}

/** Drops the tabs at the start of every line, as `<<-` asks. */
export function chompHeredoc(content: string): string {
  return content.replaceAll(/(?<=^|\n)\t+/g, '');
}
