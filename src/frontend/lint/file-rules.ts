import type { SourceRange } from '../../util/index.ts';
import type { Command, Dockerfile, Stage } from '../dockerfile/types.ts';
import { adviseOnDirection, adviseStages } from './advice-rules.ts';
import type { Linter } from './linter.ts';
import { rules } from './rules.ts';

/** Names that FROM and `--from` give a meaning of their own. */
const RESERVED = new Set(['context', 'scratch']);

/**
 * Reports what the instructions alone decide, in all stages: casing, comments, stage names, deprecated instructions, and the
 * rules of our own. What depends on variables, base images or the context is reported while lowering.
 */
export function lintFile(dockerfile: Dockerfile, linter: Linter): void {
  for (const warning of dockerfile.warnings) linter.report(rules.NoEmptyContinuation, warning.ranges, []);
  for (const arg of dockerfile.metaArgs) lintDescription(linter, arg.comments, arg.ranges, 'ARG', arg.args.map(keyOf));
  for (const stage of dockerfile.stages) {
    lintFromWords(linter.scoped(stage.comments), stage);
    for (const command of stage.commands) lintCommandWords(linter.scoped(command.comments), command);
  }
  lintStageNames(linter, dockerfile.stages);
  lintCasing(linter, dockerfile.stages);
  adviseStages(linter, dockerfile.stages);
  adviseOnDirection(linter, dockerfile.file);
}

function lintFromWords(linter: Linter, stage: Stage): void {
  // The words behind the flags; a stage name is there only when there are three.
  const words = stage.original
    .trim()
    .split(/[\t\v\f\r ]+/)
    .filter((word, index) => index > 0 && !word.startsWith('--'));
  const [as, name] = words.slice(-2);
  if (stage.name !== '' && as !== undefined && name !== undefined) {
    if (name !== name.toLowerCase()) linter.report(rules.StageNameCasing, stage.ranges, [name], name);
    if (!sameCasing(stage.keyword, as)) linter.report(rules.FromAsCasing, stage.ranges, [stage.keyword, as]);
  }
  if (stage.name !== '') lintDescription(linter, stage.comments, stage.ranges, 'FROM', [stage.name]);
}

/** A keyword of mixed case is another rule's business. */
function sameCasing(from: string, as: string): boolean {
  if (from === from.toLowerCase()) return as === as.toLowerCase();
  if (from === from.toUpperCase()) return as === as.toUpperCase();
  return true;
}

function lintCommandWords(linter: Linter, command: Command): void {
  if (command.type === 'maintainer') {
    linter.report(rules.MaintainerDeprecated, command.ranges, [], command.keyword);
  } else if (command.type === 'arg') {
    lintDescription(linter, command.comments, command.ranges, 'ARG', command.args.map(keyOf));
  }
}

function keyOf({ key }: { readonly key: string }): string {
  return key;
}

function lintDescription(
  linter: Linter,
  comments: readonly string[],
  ranges: readonly SourceRange[],
  instruction: string,
  names: readonly string[],
): void {
  const last = comments.at(-1);
  if (last === undefined || names.includes(last.split(' ')[0] ?? '')) return;
  const example = names.length > 1 ? '<arg_key>' : (names[0] ?? '');
  linter.scoped(comments).report(rules.InvalidDefinitionDescription, ranges, [instruction, example]);
}

function lintStageNames(linter: Linter, stages: readonly Stage[]): void {
  const seen = new Set<string>();
  for (const { name, ranges, comments } of stages) {
    if (name === '') continue;
    const scoped = linter.scoped(comments);
    if (RESERVED.has(name)) scoped.report(rules.ReservedStageName, ranges, [name], name);
    if (seen.has(name)) scoped.report(rules.DuplicateStageName, ranges, [name], name);
    seen.add(name);
  }
}

function lintCasing(linter: Linter, stages: readonly Stage[]): void {
  const items = stages.flatMap((stage) => [stage, ...stage.commands]);
  const lower = items.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = items.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const casing = lower > upper ? 'lowercase' : 'uppercase';
  for (const { keyword, ranges, comments } of items) {
    const wanted = lower > upper ? keyword.toLowerCase() : keyword.toUpperCase();
    if (keyword === wanted) continue;
    linter.scoped(comments).report(rules.ConsistentInstructionCasing, ranges, [keyword, casing], keyword);
  }
}
