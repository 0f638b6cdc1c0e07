/**
 * The process inside namespace A, which touches files that belong to sub-ids and starts steps. `startWorker` gives a client
 * whose `call` runs a method of `WorkerMethods` there; to add a method, declare it in protocol.ts and enter it in handlers.ts.
 */
export { type CallOptions, startWorker, type StartWorkerOptions, type WorkerClient } from './client.ts';
export type { CopyPlace, FileChange } from './container-methods.ts';
export type { PackedFileOp } from './layer-methods.ts';
export type {
  MethodName,
  ParamsOf,
  PathStat,
  PrepareUpperParams,
  ReadFileParams,
  ResultOf,
  StatPathParams,
  StepProgress,
  WorkerConfig,
  WorkerMethods,
} from './protocol.ts';
