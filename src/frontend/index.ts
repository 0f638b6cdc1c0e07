/**
 * The Dockerfile frontend: text -> stages of typed instructions -> LLB and an image config. It reaches the world through
 * `Bridge` only.
 */
export type {
  Bridge,
  BridgeInput,
  FileOrigin,
  FileRequest,
  ImageRequest,
  ResolvedImage,
  SourceTimeRequest,
} from './bridge.ts';
export {
  type Compilation,
  compileContext,
  compileDockerfile,
  type CompiledPlatform,
  compileParsed,
  type CompileResult,
} from './convert/compile.ts';
export { checkDockerfile } from './convert/check.ts';
export { isArchive, loadMainContext, type MainContext } from './convert/main-context.ts';
export { type GitRef, parseGitRef } from './convert/git-ref.ts';
export type { CompileOptions, ContextSpec } from './convert/options.ts';
export type { Entitlement, Usage, UsedCredential } from './convert/usage.ts';
export { type Dockerfile, parseDockerfile } from './dockerfile/index.ts';
export { IgnoreMatcher, parseIgnoreFile, PatternMatcher } from './ignore/index.ts';
export {
  type CheckResult,
  checkStatus,
  type Finding,
  formatCheck,
  formatCheckJson,
  formatFindingsSummary,
  formatOutline,
  formatOutlineJson,
  formatSubrequests,
  formatSubrequestsJson,
  formatTargets,
  formatTargetsJson,
  type LintConfig,
  Linter,
  lintFile,
  listTargets,
  locateFindings,
  type Outline,
  type Rule,
  rules,
  type Target,
} from './lint/index.ts';
