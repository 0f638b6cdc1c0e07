/**
 * Composition: a request becomes a graph (frontend), results (solver with the runners of src/ops), and outputs (exporter).
 * `Session` is what one command shares: the store, the worker, the registry client.
 */
export { type BuildOutcome, runBuild } from './building/build.ts';
export type { BuildPlan } from './building/build-plan.ts';
export { callFrontend } from './compile/call-frontend.ts';
export { checkRequest } from './compile/check.ts';
export { type CopiedImage, copyImage, type CopyRequest } from './images/copy-image.ts';
export { isStoredImage } from './images/copy-source.ts';
export {
  createContainer,
  networkMaker,
  type NewContainer,
  type ReadyContainer,
  readyContainer,
  startContainer,
} from './containers/containers.ts';
export { containerChanges, exportContainer } from './containers/container-changes.ts';
export { commitContainer } from './containers/container-commit.ts';
export { withNamedDevices } from './containers/container-devices.ts';
export { openContainer } from './containers/container-files.ts';
export { type ContainerSize, measureContainers } from './containers/container-sizes.ts';
export { compileRequest } from './compile/compile.ts';
export { storedExplanation } from './account/explain.ts';
export { explainRefusals, type LockOutcome, openLock } from './building/lock-file.ts';
export { BuildFailure, locateFailure } from './failure.ts';
export type { ExportedBuild, OutputRequest } from './building/outputs.ts';
export { pullImage, type PulledImage, type PullPolicy } from './images/pull.ts';
export { type PushedImage, pushStored } from './images/push-stored.ts';
export { type NamedBuild, RecordedBuild } from './building/recorded-build.ts';
export { type BuildRequest, emptyRequest, type ForeignDefinition } from './request.ts';
export { isRemoteContext, namedDockerfile } from './request-sources.ts';
export { type LocatedImage, locateImage } from './images/locate-image.ts';
export { openImage, type OpenImage } from './images/open-image.ts';
export { openStepShell } from './building/step-shell.ts';
export { exportStoredMount, importMount } from './mounts/stored-mounts.ts';
export type { StepVisitor } from '../ops/index.ts';
export { pruneSharedCache } from './caches/prune-cache.ts';
export { treeRemover } from './tree-remover.ts';
export { openSession, Session, type SessionOptions } from './session.ts';
export { verifyImage, type VerifyRequest } from './building/verify.ts';
