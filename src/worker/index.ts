export type {
  MethodName,
  ParamsOf,
  PathStat,
  PrepareUpperParams,
  ReadFileParams,
  ResultOf,
  StatPathParams,
  TreeUsage,
  WorkerConfig,
  WorkerMethods,
} from './protocol.ts';
