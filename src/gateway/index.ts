/**
 * BuildKit's gateway: the service that frontend images call while they make a graph of a file (frontend/gateway/pb/gateway.proto), over
 * gRPC on the pipes of their process. It reaches the world through `GatewayHost` only.
 */
export { LlbBridge, type Returned } from './bridge.ts';
export type {
  ContainerProcess,
  ContainerRequest,
  GatewayContainer,
  OnOutput,
  ProcessEnd,
  ProcessRequest,
} from './container.ts';
export type { FileTree, TreeStat } from './file-tree.ts';
export { frontendEnvironment, METADATA_FILE } from './environment.ts';
export { GrpcServer } from './grpc-server.ts';
export type {
  FrontendResult,
  FrontendWarning,
  GatewayHost,
  GatewaySource,
  ImageConfigAnswer,
  ImageConfigRequest,
  LoadedDefinition,
  NestedRequest,
  SolvedTree,
  SourceAnswer,
} from './host.ts';
export { gatewayLimits } from './limits.ts';
export { type SocketPair, socketPair } from './socket-pair.ts';
export { imagesOf, metadataOf, type ResultImages } from './result.ts';
export { encodeStat } from './stat.ts';
