export type {
  BuildOp,
  CacheOptions,
  CacheSharing,
  CdiDevice,
  ChownOptions,
  ContentCache,
  CopyAction,
  Definition,
  DiffOp,
  ExecMeta,
  ExecOp,
  FileAction,
  FileActionBase,
  FileActionBody,
  FileOp,
  HostIp,
  LinuxResources,
  MergeOp,
  MkdirAction,
  MkfileAction,
  Mount,
  MountType,
  NetworkMode,
  Op,
  OpBody,
  OpInput,
  OpMetadata,
  OpPlatform,
  PassthroughOp,
  PbPosition,
  PbRange,
  ProgressGroup,
  ProxyEnv,
  RmAction,
  SecretEnv,
  SecretOptions,
  SecurityMode,
  SourceInfo,
  SourceLocation,
  SourceMap,
  SourceOp,
  SshOptions,
  SymlinkAction,
  TmpfsOptions,
  Ulimit,
  UserOption,
  WorkerConstraints,
} from './ops.ts';
export {
  decodeDefinition,
  MAX_DEFINITION_BYTES,
  decodeOp,
  encodeDefinition,
  encodeOp,
  opFromJson,
  opToJson,
} from './definition.ts';
export { decodeMessage, encodeMessage, type Fields } from './codec.ts';
export {
  bool,
  bytes,
  enumeration,
  int32,
  int64,
  message,
  type MessageSchema,
  nanoseconds,
  string,
  uint32,
} from './schema.ts';
export { EnvList } from './env.ts';
export type { ExecNode, MountOptions, SecretMount, SshMount } from './exec-node.ts';
export {
  type CopyOptions,
  type CopySource,
  type CreateOptions,
  type Owner,
  parseOwner,
  type PendingAction,
} from './file-node.ts';
export { stateOf } from './definition-node.ts';
export { formatDefinition, type LlbFormat } from './format.ts';
export { basePath, joinPath } from './go-path.ts';
export { readDefinition } from './read-definition.ts';
export { definitionOfSource, rewriteSources } from './rewrite.ts';
export { type Graph, type LlbEdge, type LlbVertex, loadGraph, loadGraphs, MAX_OPS } from './graph.ts';
export type { Json } from './json.ts';
export { marshal, type MarshalOptions } from './marshal.ts';
export { type AnyOutput, LateOutput, type NodeLocation, type OpOptions } from './node.ts';
export {
  diff,
  git,
  type GitOptions,
  type GitRemote,
  http,
  type HttpOptions,
  image,
  type ImageOptions,
  local,
  type LocalOptions,
  ociLayout,
  type OciLayoutOptions,
  type ResolveMode,
} from './sources.ts';
export { merge, type RunOptions, scratch, State, type StateMeta } from './state.ts';
export { hostIpSchema, metaSchema, mountSchema, networkMode, secretEnvSchema, securityMode } from './messages.ts';
export { carriesOutput, validateContainer } from './validate.ts';
