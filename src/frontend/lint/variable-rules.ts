import { cleanPath, type PatternMatcher } from '../../patterns/index.ts';
import { formatPlatform, parsePlatform, type Platform } from '../../image/index.ts';
import type { SourceRange } from '../../util/index.ts';
import type { Dockerfile, Stage } from '../dockerfile/types.ts';
import { type Expansion, expandWord } from '../dockerfile/shell/lex.ts';
import type { Linter } from './linter.ts';
import { rules } from './rules.ts';

/** Build arguments that steer the SBOM scanner and never become environment. */
const NO_ENVIRONMENT = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/**
 * Reports variables that an instruction uses and nobody set.
 * @param linter scoped to the instruction
 * @param unmatched what expanding its words gave
 * @param declared names of the ARGs of this stage so far, with or without value
 * @param known names of the environment, for suggestions
 */
export function lintUndefinedVariables(
  linter: Linter,
  ranges: readonly SourceRange[],
  unmatched: Iterable<string>,
  declared: { has(name: string): boolean },
  known: { keys(): Iterable<string> },
): void {
  for (const name of unmatched) {
    if (declared.has(name) || NO_ENVIRONMENT.has(name)) continue;
    linter.report(rules.UndefinedVar, ranges, [name, linter.suggest(name, known)], `$${name}`);
  }
}

/** What the words of a FROM expand to. */
export interface FromExpansion {
  readonly baseName: Expansion;
  /** Undefined without `--platform`. */
  readonly platform: Expansion | undefined;
}

/**
 * Reports how a FROM uses variables.
 * @param globalArgs predefined and declared arguments with their values
 * @param declared names of all global ARGs, with or without value
 */
export function lintFrom(
  linter: Linter,
  stage: Stage,
  { baseName, platform }: FromExpansion,
  globalArgs: ReadonlyMap<string, string>,
  declared: ReadonlySet<string>,
): void {
  const scoped = linter.scoped(stage.comments);
  const known = new Set([...declared, ...globalArgs.keys()]);
  const undeclared = [...baseName.unmatched, ...(platform?.unmatched ?? [])].filter((name) => !known.has(name));
  for (const name of undeclared) {
    scoped.report(rules.UndefinedArgInFrom, stage.ranges, [name, scoped.suggest(name, known)], `$${name}`);
  }
  if (!platform) return;
  if (isTargetPlatform(platform, globalArgs)) {
    scoped.report(rules.RedundantTargetPlatform, stage.ranges, [stage.platform], '--platform');
  }
  if (isNeedlessConstant(platform, stage.name)) {
    scoped.report(rules.FromPlatformFlagConstDisallowed, stage.ranges, [platform.value], '--platform');
  }
}

function isTargetPlatform({ value, matched, unmatched }: Expansion, globalArgs: ReadonlyMap<string, string>): boolean {
  const isAlone = matched.size === 1 && unmatched.size === 0;
  return isAlone && matched.has('TARGETPLATFORM') && value === (globalArgs.get('TARGETPLATFORM') ?? '');
}

/** A stage that is named after the platform means it. */
function isNeedlessConstant({ value, matched, unmatched }: Expansion, stageName: string): boolean {
  if (matched.size > 0 || unmatched.size > 0) return false;
  try {
    const { os, architecture } = parsePlatform(value);
    return !stageName.includes(os) && !stageName.includes(architecture);
  } catch {
    // Lowering reports it.
    return false;
  }
}

/**
 * Reports base names that are no image names when no build argument is given.
 * @param predefined the arguments that exist without declaration
 * @param isImageName whether a reference can be parsed
 */
export function lintDefaultBaseNames(
  linter: Linter,
  dockerfile: Dockerfile,
  predefined: ReadonlyMap<string, string>,
  isImageName: (name: string) => boolean,
): void {
  const args = new Map(predefined);
  const expand = (word: string): string => expandWord(word, args, { escape: dockerfile.escape }).value;
  try {
    for (const { key, value } of dockerfile.metaArgs.flatMap((command) => command.args)) {
      if (value !== undefined) args.set(key, expand(value));
    }
    for (const { baseName, ranges, comments } of dockerfile.stages) {
      if (isImageName(expand(baseName))) continue;
      linter.scoped(comments).report(rules.InvalidDefaultArgInFrom, ranges, [baseName], baseName);
    }
  } catch {
    // A word that cannot be expanded is an error of the build, which says more.
  }
}

/**
 * Reports a source of COPY or ADD that the ignore file leaves out. With `!` patterns nothing is said: part of a directory may
 * be there.
 * @param linter scoped to the command
 */
export function lintCopySource(
  linter: Linter,
  ranges: readonly SourceRange[],
  command: 'Copy' | 'Add',
  source: string,
  matcher: PatternMatcher,
): void {
  if (matcher.hasExceptions) return;
  const path = cleanPath(source);
  const isRoot = path === '.' || path === '/';
  if (isRoot && !matcher.patterns.some(({ text }) => text === '*' || text === '**' || text === '**/*')) return;
  if (matcher.matchesBelow(path)) linter.report(rules.CopyIgnoredFile, ranges, [command, path], source);
}

/** Reports a base image that is for another platform than the stage. */
export function lintBasePlatform(
  linter: Linter,
  stage: Stage,
  image: string,
  expected: Platform,
  actual: Platform,
): void {
  if (expected.os === actual.os && expected.architecture === actual.architecture) return;
  linter
    .scoped(stage.comments)
    .report(rules.InvalidBaseImagePlatform, stage.ranges, [image, formatPlatform(expected), formatPlatform(actual)]);
}
