/**
 * The Dockerfile frontend: text -> stages of typed instructions -> LLB and an image config. It reaches the world through
 * `Bridge` only.
 */
export {
  type Bridge,
  type BridgeInput,
  ConvertedImage,
  type FileOrigin,
  type FileRequest,
  type ImageRequest,
  type ResolvedImage,
  type SourceTimeRequest,
} from './bridge.ts';
export {
  type Compilation,
  compileContext,
  compileDockerfile,
  type CompiledPlatform,
  type CompileResult,
} from './convert/compile.ts';
export { type CheckedDockerfile, checkDockerfile } from './convert/check.ts';
export { isArchive, loadMainContext, type MainContext, MAX_DOCKERFILE_BYTES } from './convert/main-context.ts';
export { checkFrontendName, kindOfFrontend, parseSyntax, type SyntaxRequest } from './convert/frontend-name.ts';
export { emptyImage } from './convert/image-config.ts';
export { type GitRef, parseGitRef } from './convert/git-ref.ts';
export type { CompileOptions, ContextSpec } from './convert/options.ts';
export { NETWORK_KEY, TIMEOUT_KEY } from './convert/step-settings.ts';
export { type Entitlement, Usage, type UsedCredential } from './convert/usage.ts';
export { detectSyntax } from './dockerfile/parser/directives.ts';
export type { Dockerfile } from './dockerfile/types.ts';
export { type Fix, type FixedDockerfile, fixDockerfile, formatDiff } from './fix/index.ts';
export { IgnoreMatcher } from './ignore/ignore-file.ts';
export { type CheckResult, checkStatus, formatCheck, formatCheckJson } from './lint/call/check.ts';
export { checkStatusOfMany, formatCheckManyJson, formatCheckOfMany, formatCheckTotal } from './lint/call/check-many.ts';
export { type Finding, Linter } from './lint/linter.ts';
export { formatOutline, formatOutlineJson, type Outline } from './lint/call/outline.ts';
export { formatSubrequests, formatSubrequestsJson } from './lint/call/subrequests.ts';
export { formatTargets, formatTargetsJson, listTargets, type Target } from './lint/call/targets.ts';
export type { LintConfig } from './lint/config.ts';
export { type Rule } from './lint/rules.ts';
