/**
 * Composition: a request becomes a graph (frontend), results (solver with the runners of src/ops), and outputs (exporter).
 * `Session` is what one command shares: the store, the worker, the registry client.
 */
export { type BuildOutcome, runBuild } from './build.ts';
export type { BuildPlan } from './build-plan.ts';
export { checkRequest } from './check.ts';
export { type CopiedImage, copyImage, type CopyRequest } from './copy-image.ts';
export { isStoredImage } from './copy-source.ts';
export {
  createContainer,
  networkMaker,
  type NewContainer,
  type ReadyContainer,
  readyContainer,
  startContainer,
} from './containers.ts';
export { containerChanges, exportContainer } from './container-changes.ts';
export { commitContainer } from './container-commit.ts';
export { openContainer } from './container-files.ts';
export { compileRequest } from './compile.ts';
export { storedExplanation } from './explain.ts';
export { explainRefusals, type LockOutcome, openLock } from './lock-file.ts';
export { BuildFailure, locateFailure } from './failure.ts';
export type { ExportedBuild, OutputRequest } from './outputs.ts';
export { pullImage, type PulledImage, type PullPolicy } from './pull.ts';
export { type PushedImage, pushStored } from './push-stored.ts';
export { type NamedBuild, RecordedBuild } from './recorded-build.ts';
export { type BuildRequest, emptyRequest, type ForeignDefinition } from './request.ts';
export { isRemoteContext, namedDockerfile } from './request-sources.ts';
export { type LocatedImage, locateImage } from './locate-image.ts';
export { openImage, type OpenImage } from './open-image.ts';
export { openStepShell } from './step-shell.ts';
export { exportStoredMount, importMount } from './stored-mounts.ts';
export type { StepVisitor } from '../ops/index.ts';
export { pruneSharedCache } from './prune-cache.ts';
export { treeRemover } from './tree-remover.ts';
export { openSession, Session, type SessionOptions } from './session.ts';
export { verifyImage, type VerifyRequest } from './verify.ts';
