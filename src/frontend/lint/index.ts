/**
 * Lint rules. One `Linter` collects the findings of a Dockerfile; `linter.report(rules.X, ranges, [args], token?)` notes one, and
 * `linter.scoped(comments)` honours a `# check=skip=…` above an instruction.
 *
 * `lintFile` reports what the instructions alone decide. Lowering adds the rest: `lintDefaultBaseNames` once, `lintFrom` for each
 * FROM, a `StageLinter` that is shown each expanded command of the stages in use, `lintExposedPort` for each word of EXPOSE,
 * `lintUndefinedVariables` for each instruction, `lintCopySource`, and `lintBasePlatform`. At the end `linter.findings` and
 * `linter.error()`.
 */
export { type CheckResult, checkStatus, formatCheck, formatCheckJson } from './call/check.ts';
export {
  formatOutline,
  formatOutlineJson,
  type Outline,
  type OutlineArg,
  type OutlineCache,
  type OutlineSecret,
} from './call/outline.ts';
export { formatSubrequests, formatSubrequestsJson, type Subrequest } from './call/subrequests.ts';
export { formatTargets, formatTargetsJson, listTargets, type Target } from './call/targets.ts';
export { type LintConfig } from './config.ts';
export { lintFile } from './file-rules.ts';
export { type Finding, Linter, locateFindings } from './linter.ts';
export { kebab, type Rule, rules } from './rules.ts';
export { lintExposedPort, StageLinter, type StageStart } from './stage-rules.ts';
export {
  type FromExpansion,
  lintBasePlatform,
  lintCopySource,
  lintDefaultBaseNames,
  lintFrom,
  lintUndefinedVariables,
} from './variable-rules.ts';
