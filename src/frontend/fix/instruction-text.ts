import type { SourceFile } from '../../util/index.ts';
import type { Instruction, PropertyInstruction } from 'dockerfile-ast';
import type { DockerfileNode, EscapeToken } from '../dockerfile/types.ts';
import { trimNewline, trimStart } from '../dockerfile/text.ts';

/** One physical line of an instruction, heredoc bodies aside. */
export interface InstructionLine {
  /** Offset in the file. */
  readonly start: number;
  /** Offset behind the line's text: where its line ending starts. */
  readonly end: number;
  /** Offset of the next line. */
  readonly next: number;
  readonly kind: 'text' | 'comment' | 'blank';
  /** Offset of the escape character that continues the line, if one does. */
  readonly continuation: number | undefined;
}

/** Where an instruction stands in its file. */
export interface InstructionText {
  readonly node: DockerfileNode;
  readonly escape: EscapeToken;
  readonly lines: readonly InstructionLine[];
  /** The instruction as written, from the start of its first line to the end of its last. */
  readonly text: string;
  /** Offset of `text` in the file. */
  readonly start: number;
}

/** Finds the physical lines of each instruction, by the parser's own rules for continuations (`parseLines`). */
export function instructionTexts(
  file: SourceFile,
  nodes: readonly DockerfileNode[],
  escape: EscapeToken,
): readonly InstructionText[] {
  const starts = lineStarts(file.text);
  return nodes.map((node) => {
    const lines = physicalLines(file.text, starts, node, escape);
    const start = lines[0]?.start ?? 0;
    return { node, escape, lines, start, text: file.text.slice(start, lines.at(-1)?.end ?? start) };
  });
}

/** Offsets of the lines' starts, and the end of the text; a byte order mark is no part of the first line. */
function lineStarts(text: string): readonly number[] {
  const starts = [text.startsWith('\uFEFF') ? 1 : 0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  if (starts.at(-1) !== text.length) starts.push(text.length);
  return starts;
}

function physicalLines(
  text: string,
  starts: readonly number[],
  node: DockerfileNode,
  escape: EscapeToken,
): InstructionLine[] {
  const lines: InstructionLine[] = [];
  for (let number = node.startLine; number <= node.endLine; number++) {
    const start = starts[number - 1] ?? text.length;
    const next = starts[number] ?? text.length;
    const line = trimNewline(text.slice(start, next));
    const words = trimStart(line);
    // The first line starts the instruction, whatever it looks like.
    const kind =
      number === node.startLine ? 'text' : words === '' ? 'blank' : words.startsWith('#') ? 'comment' : 'text';
    const blanks = /(?<![ \t])[ \t]*$/.exec(line)?.[0].length ?? 0;
    const last = line.length - blanks - 1;
    const continues = kind === 'text' && line[last] === escape && line[last - 1] !== escape;
    lines.push({ start, end: start + line.length, next, kind, continuation: continues ? start + last : undefined });
    if (kind === 'text' && !continues) break;
  }
  return lines;
}

/** A token's place in the file. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What dockerfile-ast says about one instruction, in offsets of the file. */
export interface Tokens {
  readonly keyword: Span;
  /** The words behind the flags. */
  readonly words: readonly Span[];
  /** From the first of them to the last. */
  readonly rest: Span | undefined;
  /** Keys and values of ENV and LABEL. */
  readonly pairs: readonly { readonly key: Span; readonly value: Span | undefined }[];
}

/** Instructions longer than this are left as they are. */
const MAX_CHARACTERS = 64 * 1024;

/**
 * The tokens of an instruction. Undefined where dockerfile-ast reads the text in another way than Dockerfiles are defined
 * (a lone carriage return is a line's end to it), or fails.
 */
export async function tokensOf({ text, start, escape }: InstructionText): Promise<Tokens | undefined> {
  if (text.length > MAX_CHARACTERS || /\r(?!\n)/.test(text)) return undefined;
  const { DockerfileParser } = await import('../dockerfile/ast.ts');
  // The directive decides what continues a line.
  const prefix = escape === '`' ? '# escape=`\n' : '';
  const source = prefix + text;
  const lines = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const span = (range: AstRange): Span => {
    const offset = ({ line, character }: AstPosition): number => start - prefix.length + (lines[line] ?? 0) + character;
    return { start: offset(range.start), end: offset(range.end) };
  };
  try {
    const [instruction, ...others] = DockerfileParser.parse(source).getInstructions();
    if (instruction === undefined || others.length > 0) return undefined;
    const rest = instruction.getArgumentsRange();
    return {
      keyword: span(instruction.getInstructionRange()),
      words: instruction.getArguments().map((word) => span(word.getRange())),
      rest: rest === null ? undefined : span(rest),
      pairs: propertiesOf(instruction).map((property) => {
        const value = property.getValueRange();
        return { key: span(property.getNameRange()), value: value === null ? undefined : span(value) };
      }),
    };
  } catch {
    return undefined;
  }
}

type AstPosition = { readonly line: number; readonly character: number };
type AstRange = { readonly start: AstPosition; readonly end: AstPosition };

function propertiesOf(instruction: Instruction): ReturnType<PropertyInstruction['getProperties']> {
  return 'getProperties' in instruction ? (instruction as PropertyInstruction).getProperties() : [];
}
