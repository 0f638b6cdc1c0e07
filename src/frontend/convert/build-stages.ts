import { parsePlatform, type Platform } from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { didYouMean } from '../dockerfile/suggestion.ts';
import { type Expansion, expandWord } from '../dockerfile/shell/lex.ts';
import type { Stage } from '../dockerfile/types.ts';
import { dockerfileError, placed } from '../dockerfile/failure.ts';
import { goQuote } from '../dockerfile/text.ts';
import { lintFrom } from '../lint/variable-rules.ts';
import type { Lowering } from './lowering.ts';
import { StageState } from './stage-state.ts';

/** Reads the FROM instructions: expands base names and platforms and finds the stages that others build on. */
export function buildStages(lowering: Lowering): void {
  const { stages: parsed } = lowering.dockerfile;
  for (const [index, stage] of parsed.entries()) {
    const used = new Set<string>();
    const base = placed(stage.ranges, () => expandFrom(lowering, stage.baseName, used));
    const platform =
      stage.platform === '' ? undefined : placed(stage.ranges, () => expandFrom(lowering, stage.platform, used));
    lintFrom(
      lowering.linter,
      stage,
      { baseName: base, platform },
      new Map(lowering.globalArgs.entries()),
      new Set(lowering.outline.args.keys()),
    );
    if (base.value === '') throw dockerfileError(`base name (${stage.baseName}) should not be blank`, stage.ranges);
    const state = new StageState(stage, { baseName: base.value, outline: lowering.outline });
    if (platform !== undefined) state.platform = readPlatform(lowering, stage, platform);
    const replacement =
      stage.name === '' ? undefined : lowering.contexts.find(stage.name, state.platform ?? lowering.platform);
    if (replacement !== undefined) {
      state.namedContext = replacement;
      lowering.stages.add(state);
      state.base = undefined;
      continue;
    }
    if (stage.name === '') state.name = `stage-${index}`;
    lowering.stages.add(state);
    for (const key of used) state.outline.usedArgs.add(key);
    state.commandTotal = countSteps(state);
    state.ignoreCache = isUncached(lowering, stage.name);
  }
}

/** The base image and the instructions that make a vertex: what `[2/5]` counts. */
function countSteps(state: StageState): number {
  const pull = state.baseName !== 'scratch' && state.base === undefined ? 1 : 0;
  return pull + state.stage.commands.filter(({ type }) => ['add', 'copy', 'run', 'workdir'].includes(type)).length;
}

/** `--no-cache-filter` names stages, `--no-cache` all of them. */
function isUncached(lowering: Lowering, name: string): boolean {
  const { noCache } = lowering.options;
  if (noCache === undefined || noCache === true) return noCache === true;
  return noCache.some((wanted) => wanted.toLowerCase() === name.toLowerCase());
}

function expandFrom(lowering: Lowering, word: string, used: Set<string>): Expansion {
  const expanded = expandWord(word, lowering.globalArgs, { escape: lowering.dockerfile.escape });
  for (const key of expanded.matched) used.add(key);
  lowering.room.take(expanded.value);
  return expanded;
}

function readPlatform(lowering: Lowering, stage: Stage, expanded: Expansion): Platform {
  const near = (message: string): string => {
    for (const key of expanded.unmatched) {
      const hinted = didYouMean(message, key, lowering.globalArgs.keys());
      if (hinted !== message) return hinted;
    }
    return message;
  };
  if (expanded.value === '') {
    throw dockerfileError(near(`empty platform value from expression ${stage.platform}`), stage.ranges);
  }
  try {
    return parsePlatform(expanded.value, lowering.options.buildPlatform);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw dockerfileError(near(`failed to parse platform ${stage.platform}: ${whyNot(expanded.value)}`), stage.ranges);
  }
}

/** What containerd says of a platform that it cannot parse. */
function whyNot(platform: string): string {
  const parts = platform.split('/');
  const bad = parts.find((part) => !/^[A-Za-z0-9_.-]+(?:\([A-Za-z0-9_.-]*\))?$/.test(part));
  if (bad !== undefined) {
    const rule = 'platform specifier component must match "^[A-Za-z0-9_.-]+$"';
    return `${goQuote(bad)} is an invalid component of ${goQuote(platform)}: ${rule}: invalid argument`;
  }
  const reason = parts.length > 1 ? 'cannot parse platform specifier' : 'unknown operating system or architecture';
  return `${goQuote(platform)}: ${reason}: invalid argument`;
}

/**
 * The stage that is to be built.
 * @throws TsbuildError `TSB_DOCKERFILE` with a suggestion when there is none of that name
 */
export function findTarget(lowering: Lowering): StageState {
  const { target } = lowering.options;
  const { all } = lowering.stages;
  const last = all.at(-1);
  if (last === undefined) throw dockerfileError('dockerfile contains no stages to build');
  if (!target) return last;
  const found = lowering.stages.byName(target) ?? (/^\d+$/.test(target) ? all[Number(target)] : undefined);
  if (found !== undefined) return found;
  const message = `target stage ${goQuote(target)} could not be found`;
  throw dockerfileError(didYouMean(message, target, lowering.stages.names()));
}
