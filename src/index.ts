/** The package's entry for programs: `import { build } from 'tsbuildkit'`. docs/api.md describes it. */
export {
  build,
  type BuildOptions,
  type BuildSource,
  type CommonOptions,
  explain,
  type ExplainOptions,
  inspect,
  type InspectedImage,
  type InspectOptions,
  pull,
  type PullOptions,
  push,
  type PushOptions,
  type RegistryAccess,
  report,
  type ReportOptions,
  reportPage,
  run,
  type RunOptions,
  type Secret,
  verify,
  type VerifyOptions,
} from './api/index.ts';
export { BuildFailure, type BuildOutcome } from './engine/index.ts';
export type { BuildEvent, DiagnosticEvent, LogEvent, StatusEvent, VertexEvent } from './events/index.ts';
export type { ExplainedFacts, ExplanationFacts, HintFacts } from './explain/index.ts';
export type { Descriptor, ImageConfig, Manifest } from './image/index.ts';
export type { ReportFacts } from './report/index.ts';
export type { Comparison, Difference } from './verify/index.ts';
export {
  type Diagnostic,
  type Digest,
  type ErrorCode,
  type SourceFile,
  type SourceRange,
  TsbuildError,
  version,
} from './util/index.ts';
