/**
 * One process in a sandbox: what it is (`StepSpec`), how the native helper is told (`encodeStep`), run (`runStep`) and
 * understood (`concludeStep`); how namespace A is made (`planNamespace`, `enterArguments`); what the machine allows (`probe`).
 */
export { BOUND_PROC, boundProcText } from './bound-proc.ts';
export { type OwnIsolation, ownIsolation, requireRung } from './asked-rung.ts';
export { type DoctorLine, type DoctorReport, formatDoctor, probe, type ProbeOptions, type Rung } from './doctor.ts';
export { type Isolation, parseIsolation } from './isolation-name.ts';
export { chooseIsolation, isolationNotice, refuseSteps } from './isolation.ts';
export { ownerForm } from './owner-form.ts';
export { parseCapability } from './capabilities.ts';
export { currentUser } from './current-user.ts';
export { encodeFields, type EncodeOptions, encodeStep, mountTree, rootTree, ULIMITS } from './encode-step.ts';
export { encodeProcess, type ProcessSpec } from './encode-process.ts';
export { enterArguments, type EnterOptions } from './enter.ts';
export { findHelper, findSeccompFilter } from './helper-path.ts';
export { Emulation, foreignFailure } from './emulation/index.ts';
export { findProgram } from './find-program.ts';
export { resolvConfOfHost } from './machine.ts';
export {
  isPlan,
  planBare,
  planNamespace,
  planSingle,
  type PlanInputs,
  type PlanProblem,
  readPlanInputs,
  requirePlan,
} from './namespace-plan.ts';
export { hostsFile, nameservers } from './network-files.ts';
export { removeTrees } from './remove-trees.ts';
export { readLines, runStep, type RunStepOptions } from './run-step.ts';
export { LoneRemover, type RemoverOptions } from './lone-remover.ts';
export { measureTrees, TreeMeasurer, type TreeUsage } from './tree-usage.ts';
export { type HelperAhead, type LoneStep, runAlone, type RunAloneOptions, startAhead } from './run-alone.ts';
export type { HelperStreams, LoneHelper } from './lone-helper.ts';
export { supervise, type SuperviseOptions } from './supervise.ts';
export { giveSockets } from './give-sockets.ts';
export { concludeStep, readStatusLine, type StepReport } from './step-status.ts';
export { makeTerminalRaw } from './raw-terminal.ts';
export { signalNumber } from './signals.ts';
export { StepServers } from './step-servers.ts';
export { parseSubIds, type SubIdRange } from './subids.ts';
export type {
  BindMount,
  DeviceMount,
  Emulator,
  ExitStatus,
  ExtraHost,
  FileMount,
  IdRange,
  LayersMount,
  MountSpec,
  NamespacePlan,
  NetworkMode,
  SecurityMode,
  SocketMount,
  StepSpec,
  StepTree,
  TmpfsMount,
  Ulimit,
} from './types.ts';
export { DEFAULT_PROCESS_LIMIT } from './types.ts';
