import { isTsbuildError } from '../../util/index.ts';
import { parseDockerfile } from '../dockerfile/instructions/stages.ts';
import type { Dockerfile } from '../dockerfile/types.ts';
import type { Linter } from '../lint/linter.ts';
import { rules } from '../lint/rules.ts';
import { applyEdits, composeEdits, type Edit, type Fix } from './edits.ts';
import { type InstructionText, instructionTexts, tokensOf } from './instruction-text.ts';
import {
  fixAs,
  fixEmptyLines,
  fixKeyValue,
  fixKeyword,
  fixStageName,
  fixTrailingContinuation,
  majority,
  type Place,
  TRAILING_CONTINUATION,
} from './safe-fixes.ts';
import { commandMeaning, commandsOf, type Meaning, sameMeaning } from './same-meaning.ts';
import { maintainerToLabel, type MeantEdit, SINGLE_QUOTED_JSON, singleToDoubleQuotes } from './unsafe-fixes.ts';

/** What is to be mended. */
export interface FixOptions {
  /** Also make fixes that change the image. */
  readonly unsafe: boolean;
}

/** A Dockerfile after its mending. */
export interface FixedDockerfile {
  /** The file's text with the fixes made, all else as it was. */
  readonly text: string;
  /** The changes of `text`. */
  readonly edits: readonly Edit[];
  /** What was done, by lines. */
  readonly fixes: readonly Fix[];
  /** What was left because it changes the image. */
  readonly left: readonly Fix[];
}

/**
 * Rewrites what has one right answer: the casing of keywords, `as` and names of stages, `ENV key value`, empty lines and a last
 * continuation; with `unsafe` also MAINTAINER and JSON in single quotes. Rules that are switched off are left alone. Every result is
 * read again and compared: a fix that would change what the file means in any other way than it should is not made.
 * @param linter tells which rules are on
 */
export async function fixDockerfile(
  dockerfile: Dockerfile,
  linter: Linter,
  options: FixOptions,
): Promise<FixedDockerfile> {
  const { file } = dockerfile;
  let now = dockerfile;
  let edits: readonly Edit[] = [];
  const fixes: Fix[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { safe, meant } = await soundFixes(now, linter);
    const made = [...safe, ...(options.unsafe ? meant : [])].toSorted((a, b) => a.line - b.line);
    const text = applyEdits(now.file.text, editsOf(made));
    const next = made.length === 0 ? undefined : parsed(dockerfile, text);
    if (next === undefined) return { text: now.file.text, edits, fixes, left: options.unsafe ? [] : meant };
    edits = composeEdits(file.text.length, edits, editsOf(made));
    fixes.push(...made);
    now = next;
  }
  return { text: now.file.text, edits, fixes, left: [] };
}

/** One fix may make room for another: a key is found once a continuation is gone. More rounds than a few are nobody's file. */
const MAX_ROUNDS = 10;

async function soundFixes(
  dockerfile: Dockerfile,
  linter: Linter,
): Promise<{ readonly safe: readonly Fix[]; readonly meant: readonly Fix[] }> {
  const { safe, unsafe } = await findFixes(dockerfile, linter);
  return { safe: keepSound(dockerfile, safe), meant: unsafe.filter((fix) => changesOnlyThat(dockerfile, fix)) };
}

interface Candidates {
  readonly safe: readonly Fix[];
  readonly unsafe: readonly (Fix & { readonly index: number; readonly isMeant: MeantEdit['isMeant'] })[];
}

async function findFixes(dockerfile: Dockerfile, linter: Linter): Promise<Candidates> {
  const { file, nodes, escape } = dockerfile;
  const casing = majority(dockerfile);
  const safe: Fix[] = [];
  const unsafe: Candidates['unsafe'][number][] = [];
  const commands = commandsOf(dockerfile);
  for (const [index, written] of instructionTexts(file, nodes, escape).entries()) {
    const command = commands[index];
    if (command === undefined) break;
    const line = written.node.startLine;
    const add = (rule: string, edits: readonly Edit[]): void => {
      if (edits.length > 0) safe.push({ rule, line, edits, unsafe: false });
    };
    add(TRAILING_CONTINUATION, fixTrailingContinuation({ written, text: file.text }));
    // As the rule itself, for the whole file.
    add(rules.NoEmptyContinuation.name, fixEmptyLines({ written, text: file.text, linter }));
    if (!mayNeedTokens(written, casing)) continue;
    const tokens = await tokensOf(written);
    if (tokens === undefined) continue;
    const place: Place = { command, written, tokens, text: file.text, linter: linter.scoped(command.comments) };
    add(rules.ConsistentInstructionCasing.name, fixKeyword(place, casing));
    add(rules.FromAsCasing.name, fixAs(place, casing));
    add(rules.StageNameCasing.name, fixStageName(place));
    add(rules.LegacyKeyValueFormat.name, fixKeyValue(place));
    const others: readonly (readonly [string, MeantEdit | undefined])[] = [
      [rules.MaintainerDeprecated.name, maintainerToLabel(place, casing)],
      [SINGLE_QUOTED_JSON, singleToDoubleQuotes(place)],
    ];
    for (const [rule, found] of others)
      if (found) unsafe.push({ rule, line, edits: found.edits, unsafe: true, index, isMeant: found.isMeant });
  }
  return { safe, unsafe };
}

/** Most instructions of most files do not, and parsing once more takes time. */
function mayNeedTokens({ node }: InstructionText, casing: 'lower' | 'upper'): boolean {
  const { keyword, args, json, original } = node;
  const spelled = casing === 'lower' ? keyword.toLowerCase() : keyword.toUpperCase();
  return (
    keyword !== spelled ||
    /^(from|maintainer)$/i.test(keyword) ||
    (/^(env|label)$/i.test(keyword) && args[2] === '') ||
    (!json && original.includes(`'`))
  );
}

/** The fixes that leave the meaning as it is: all, or where one does not, those that do one by one. */
function keepSound(dockerfile: Dockerfile, fixes: readonly Fix[]): readonly Fix[] {
  if (isSound(dockerfile, fixes)) return fixes;
  let kept: readonly Fix[] = [];
  for (const fix of fixes) if (isSound(dockerfile, [...kept, fix])) kept = [...kept, fix];
  return kept;
}

function isSound(dockerfile: Dockerfile, fixes: readonly Fix[]): boolean {
  const after = parsed(dockerfile, applyEdits(dockerfile.file.text, editsOf(fixes)));
  return after !== undefined && sameMeaning(dockerfile, after);
}

/** Whether an unsafe fix gives its instruction the meaning that it should, and no other instruction another one. */
function changesOnlyThat(dockerfile: Dockerfile, fix: Candidates['unsafe'][number]): boolean {
  const after = parsed(dockerfile, applyEdits(dockerfile.file.text, fix.edits));
  if (after === undefined) return false;
  const meanings = (of: Dockerfile): readonly Meaning[] =>
    commandsOf(of).map((command) => commandMeaning(command, of.escape));
  const [old, now] = [meanings(dockerfile), meanings(after)];
  const changed = now[fix.index];
  return (
    old.length === now.length &&
    changed !== undefined &&
    fix.isMeant(changed) &&
    // JSON is what a fix made of it, or nothing has changed for the parser.
    (fix.rule !== SINGLE_QUOTED_JSON || after.nodes[fix.index]?.json === true) &&
    old.every((meaning, index) => index === fix.index || JSON.stringify(meaning) === JSON.stringify(now[index]))
  );
}

function parsed({ file }: Dockerfile, text: string): Dockerfile | undefined {
  try {
    return parseDockerfile({ name: file.name, text });
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}

/** Two fixes of one instruction may both respell its keyword: an unsafe one comes last, and is the one that counts. */
function editsOf(fixes: readonly Fix[]): readonly Edit[] {
  const unique = new Map<string, Edit>();
  for (const fix of fixes.toSorted((a, b) => Number(a.unsafe) - Number(b.unsafe)))
    for (const edit of fix.edits) unique.set(`${edit.start} ${edit.end}`, edit);
  return [...unique.values()];
}
