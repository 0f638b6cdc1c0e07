/** What JavaScript programs call: the commands as functions, without their printing. */
export { build, type BuildOptions } from './build.ts';
export { explain, type ExplainOptions, report, type ReportOptions, reportPage } from './history.ts';
export type { BuildSource, Secret } from './source.ts';
export {
  inspect,
  type InspectedImage,
  type InspectOptions,
  pull,
  type PullOptions,
  push,
  type PushOptions,
  verify,
  type VerifyOptions,
} from './images.ts';
export { run, type RunOptions } from './run.ts';
export type { CommonOptions, RegistryAccess } from './session.ts';
