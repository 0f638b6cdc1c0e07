/** One runner per kind of op: exec/, file/, source/, merge and diff. What an op reads and makes are `OpResult`s. */
export { lockShown } from './lock-shown.ts';
export { type DeviceGrants, StepDevices, locateRefusal, noDevices } from './exec/devices.ts';
export { withDevices } from './exec/exec-devices.ts';
export { SshAgents } from './exec/ssh-agents.ts';
export type { PackingPlan } from './packing-plan.ts';
export type { Credentials, ImageLayers, OpPieces, Origins } from './pieces.ts';
export type { MountTravel } from './exec/mount-travel.ts';
export type { RecordedSteps } from './exec/recorded-steps.ts';
export type { StepVisitor, VisitedStep } from './exec/step-visitor.ts';
export { MovedMounts } from './exec/moved-mounts.ts';
export { type MountView, type PreparedContainer, prepareContainer } from './exec/prepared-container.ts';
export { type LocalResult, type OpResult, snapshot } from './result.ts';
export type { SourceNote, StepNotes } from './step-notes.ts';
export type { BaseSummaries } from './file/base-summaries.ts';
export { createRunner } from './runner.ts';
export { gitCommit, gitTime } from './source/git-source.ts';
export { httpFile, httpTime } from './source/http-source.ts';
export { RemoteSources } from './source/remote-sources.ts';
