import { parseDockerfile } from '../dockerfile/instructions/stages.ts';
import type { Command, Dockerfile, Stage } from '../dockerfile/types.ts';
import { instructionNames } from '../dockerfile/parser/line-parsers.ts';
import { trimStart } from '../dockerfile/text.ts';
import { isTsbuildError } from '../../util/index.ts';
import type { Linter } from '../lint/linter.ts';
import { rules } from '../lint/rules.ts';
import { applyEdits, type Edit } from './edits.ts';
import type { InstructionText, Span, Tokens } from './instruction-text.ts';
import { sameMeaning } from './same-meaning.ts';

/** What a fix is made from: an instruction as it is understood, as it is written, and where its tokens are. */
export interface Place {
  readonly command: Command | Stage;
  readonly written: InstructionText;
  readonly tokens: Tokens;
  /** The whole file. */
  readonly text: string;
  /** With the rules that are on for this instruction. */
  readonly linter: Linter;
}

/** The spelling that the majority of keywords has, by the rule ConsistentInstructionCasing. */
export function majority({ stages }: Dockerfile): 'lower' | 'upper' {
  const keywords = stages.flatMap((stage) => [stage.keyword, ...stage.commands.map(({ keyword }) => keyword)]);
  const lower = keywords.filter((keyword) => keyword === keyword.toLowerCase()).length;
  const upper = keywords.filter((keyword) => keyword === keyword.toUpperCase()).length;
  return lower > upper ? 'lower' : 'upper';
}

/** Keywords as most of the file has them. */
export function fixKeyword({ command, tokens, text, linter }: Place, casing: 'lower' | 'upper'): readonly Edit[] {
  if (!linter.isOn(rules.ConsistentInstructionCasing)) return [];
  return respell(text, tokens.keyword, command.keyword, spelled(command.keyword, casing));
}

/** `as` like the FROM that it belongs to, once that is as the file has it. */
export function fixAs({ command, written, tokens, text, linter }: Place, casing: 'lower' | 'upper'): readonly Edit[] {
  const [, as = '', name] = written.node.args;
  const span = tokens.words[1];
  if ('type' in command || name === undefined || span === undefined || !linter.isOn(rules.FromAsCasing)) return [];
  const from = linter.isOn(rules.ConsistentInstructionCasing) ? spelled(command.keyword, casing) : command.keyword;
  if (from === from.toLowerCase()) return respell(text, span, as, as.toLowerCase());
  return from === from.toUpperCase() ? respell(text, span, as, as.toUpperCase()) : [];
}

/** Names of stages in lower case, as which they are known anyway. */
export function fixStageName({ command, written, tokens, text, linter }: Place): readonly Edit[] {
  const name = written.node.args[2];
  const span = tokens.words[2];
  if ('type' in command || name === undefined || span === undefined || !linter.isOn(rules.StageNameCasing)) return [];
  return respell(text, span, name, name.toLowerCase());
}

/** `ENV key value` as `ENV key=value`, quoted where the value has blanks; LABEL likewise. */
export function fixKeyValue(place: Place): readonly Edit[] {
  const { command, written, tokens, text, linter } = place;
  if (!('type' in command) || (command.type !== 'env' && command.type !== 'label')) return [];
  const [pair] = command.type === 'env' ? command.env : command.labels;
  if (pair?.legacy !== true || !linter.isOn(rules.LegacyKeyValueFormat)) return [];
  const [found, ...others] = tokens.pairs;
  if (found?.value === undefined || others.length > 0) return [];
  const { key, value } = found;
  const between = text.slice(key.end, value.start);
  // A comment between them would be lost.
  if (text.slice(key.start, key.end) !== pair.key || between.includes('#')) return [];
  const raw = text.slice(value.start, value.end);
  for (const spelling of spellings(raw, written.escape)) {
    const edits = [
      { start: key.end, end: value.start, text: `=${spelling.before}` },
      ...(spelling.text === raw ? [] : [{ start: value.start, end: value.end, text: spelling.text }]),
      ...(spelling.after === '' ? [] : [{ start: value.end, end: value.end, text: spelling.after }]),
    ];
    if (staysTheSame(written, edits)) return edits;
  }
  return [];
}

/** How a value may be written behind `=`, the plainest first. */
function spellings(raw: string, escape: string): readonly { before: string; text: string; after: string }[] {
  const plain = { before: '', text: raw, after: '' };
  const quoted = { before: '"', text: raw, after: '"' };
  if (raw.includes('\n')) return [plain, quoted];
  // One pair of quotes around all of it, where those inside only kept words together.
  const requoted = { before: '"', text: raw.replaceAll('"', ''), after: '"' };
  // Quotes and escapes that are there stay; blanks outside them are escaped.
  const whole = escape === '`' ? /"(?:[^"`]|`.)*"|'[^']*'|`.|[ \t]/g : /"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[ \t]/g;
  const escaped = raw.replaceAll(whole, (part) => (part.length > 1 ? part : escape + part));
  return [plain, quoted, requoted, { before: '', text: escaped, after: '' }];
}

/** Whether the instruction alone means the same with the edits. */
function staysTheSame({ text, start, escape }: InstructionText, edits: readonly Edit[]): boolean {
  const head = `# escape=${escape}\nFROM scratch\n`;
  const moved = edits.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const parse = (source: string): Dockerfile => parseDockerfile({ name: 'Dockerfile', text: head + source });
  try {
    return sameMeaning(parse(text), parse(applyEdits(text, moved)));
  } catch (error) {
    if (isTsbuildError(error)) return false;
    throw error;
  }
}

/** The name of what has no lint rule: a continuation with nothing behind it, at the end of a file. */
export const TRAILING_CONTINUATION = 'TrailingContinuation';

/** The escape character that ends the last instruction of a file goes, with the blanks before it. */
export function fixTrailingContinuation({ written, text }: Pick<Place, 'written' | 'text'>): readonly Edit[] {
  const { lines } = written;
  const last = lines.findLast(({ kind }) => kind === 'text');
  if (last?.continuation === undefined || lines.at(-1)?.next !== text.length) return [];
  const before = text.slice(last.start, last.continuation).replace(/(?<![ \t])[ \t]+$/, '');
  // Another one before it would take its place.
  return before === '' || before.endsWith(written.escape)
    ? []
    : [{ start: last.start + before.length, end: last.end, text: '' }];
}

/**
 * Empty lines inside an instruction go. Where an instruction seems to follow one, the continuation before it is the mistake, and
 * nothing is done: without it the file would mean something else, without the line the mistake would not show any more.
 */
export function fixEmptyLines({ written, text, linter }: Pick<Place, 'written' | 'text' | 'linter'>): readonly Edit[] {
  if (!linter.isOn(rules.NoEmptyContinuation)) return [];
  const { lines } = written;
  return lines.flatMap((line, index) => {
    const following = lines.slice(index).find(({ kind }) => kind === 'text');
    if (line.kind !== 'blank' || following === undefined) return [];
    const [word = ''] = trimStart(text.slice(following.start, following.end)).split(/\s/);
    return instructionNames.includes(word.toUpperCase()) ? [] : [{ start: line.start, end: line.next, text: '' }];
  });
}

function spelled(word: string, casing: 'lower' | 'upper'): string {
  return casing === 'lower' ? word.toLowerCase() : word.toUpperCase();
}

/** @param is what must stand there: tokens of other readings are left alone */
function respell(text: string, { start, end }: Span, is: string, wanted: string): readonly Edit[] {
  return is === wanted || text.slice(start, end) !== is ? [] : [{ start, end, text: wanted }];
}
