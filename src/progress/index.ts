export { createPalette, type Palette } from './colors.ts';
export { createProgress } from './display.ts';
export { type Failure, formatFailure } from './failure.ts';
export { GithubGroups, githubAnnotation } from './github.ts';
export { JobSummary } from './job-summary.ts';
export { withoutRunnerCommands } from './runner-commands.ts';
export type { Progress, ProgressMode, ProgressOptions, ProgressOutput } from './types.ts';
export { formatWarnings, type WarningOptions } from './warnings.ts';
