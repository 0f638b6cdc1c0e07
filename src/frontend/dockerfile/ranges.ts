import type { SourceFile, SourceRange } from '../../util/index.ts';
import type { ModifiableInstruction } from 'dockerfile-ast';
import type { EscapeToken } from './types.ts';

/** Longer instructions keep whole-line ranges: an error message does not need more. */
const MAX_CHARACTERS = 64 * 1024;

interface AstRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/**
 * Narrows the ranges of one instruction to the columns of `token`: its keyword, a flag, an argument, or the name of a variable
 * that it uses; `$NAME` is a variable and nothing else of that name. Only for error messages and lint; loads dockerfile-ast when first called and never fails.
 * @param ranges the instruction's lines
 * @returns one range for each place of the token, or `ranges` when there is none
 */
export async function locateTokens(
  file: SourceFile,
  ranges: readonly SourceRange[],
  token: string,
  escape: EscapeToken = '\\',
): Promise<readonly SourceRange[]> {
  const first = ranges[0]?.startLine ?? 0;
  const last = ranges.at(-1)?.endLine ?? 0;
  const text = linesOf(file)
    .slice(Math.max(0, first - 1), last)
    .join('\n');
  if (first < 1 || token === '' || !text.includes(token.replace(/^\$/, '')) || text.length > MAX_CHARACTERS)
    return ranges;
  try {
    const found = await tokensOf(escape === '`' ? `# escape=\`\n${text}` : text, token);
    const offset = escape === '`' ? first - 1 : first;
    const located = found.filter(({ start, end }) => start.line === end.line && end.character > start.character);
    if (located.length === 0) return ranges;
    return located.map(({ start, end }) => ({
      file: file.name,
      startLine: start.line + offset,
      endLine: start.line + offset,
      startColumn: start.character + 1,
      endColumn: end.character,
    }));
  } catch {
    return ranges;
  }
}

/** The lines of the file that was asked for last: a file may have as many findings as lines. */
let cut: { readonly file: SourceFile; readonly lines: readonly string[] } | undefined;

function linesOf(file: SourceFile): readonly string[] {
  if (cut?.file !== file) cut = { file, lines: file.text.replace(/^\uFEFF/, '').split('\n') };
  return cut.lines;
}

async function tokensOf(text: string, token: string): Promise<AstRange[]> {
  const { DockerfileParser } = await import('./ast.ts');
  const found: AstRange[] = [];
  const lines = text.split('\n');
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction.getKeyword() === token.toUpperCase() && instruction.getInstruction() === token) {
      found.push(instruction.getInstructionRange());
    }
    for (const variable of instruction.getVariables()) {
      if (variable.getName() === token.replace(/^\$/, '')) found.push(variable.getNameRange());
    }
    if (token.startsWith('$')) continue;
    const flags = 'getFlags' in instruction ? (instruction as ModifiableInstruction).getFlags() : [];
    for (const word of [...flags, ...instruction.getArguments()]) {
      const { start, end } = word.getRange();
      if (start.line !== end.line) continue;
      const raw = lines[start.line]?.slice(start.character, end.character) ?? '';
      const at = namedPart(raw, token);
      if (at < 0) continue;
      const from = { line: start.line, character: start.character + at };
      found.push({ start: from, end: { line: start.line, character: from.character + token.length } });
    }
  }
  return found;
}

/** Where a word, quotes and `--` aside, is the token or has it as the name before `=`; -1 when neither. */
function namedPart(raw: string, token: string): number {
  const at = raw.search(/[^"'-]/);
  if (raw.startsWith(token)) return endsName(raw, token.length) ? 0 : -1;
  return at > 0 && raw.startsWith(token, at) && endsName(raw, at + token.length) ? at : -1;
}

function endsName(raw: string, end: number): boolean {
  return end === raw.length || /^["'=]$/.test(raw[end] ?? '');
}
