import type { ExecMeta, HostIp, Mount, NetworkMode, SecretEnv, SecurityMode } from '../llb/index.ts';

/** What the tables of messages.ts describe, as objects. */

/** A platform in a message; empty strings are absent. */
export interface PbPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

/** A reference to what was solved; an empty id is scratch. */
export interface PbRef {
  readonly id: string;
  readonly def: Uint8Array;
}

/** One reference or one for each platform, in the forms of old and new clients. */
export type PbRefs =
  | { readonly kind: 'refDeprecated'; readonly refDeprecated: string }
  | { readonly kind: 'refsDeprecated'; readonly refs: ReadonlyMap<string, string> }
  | ({ readonly kind: 'ref' } & PbRef)
  | { readonly kind: 'refs'; readonly refs: ReadonlyMap<string, PbRef> };

/** What a frontend returns, or gets of another one: `pb.Result`. */
export interface PbResult {
  readonly result?: PbRefs;
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly attestations: ReadonlyMap<string, { readonly all: readonly Uint8Array[] }>;
}

/** Something that is typed by its URL: `google.protobuf.Any`. */
export interface PbAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** `google.rpc.Status`. */
export interface PbStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly PbAny[];
}

/** `Return`: the end of a frontend, with its result or why there is none. */
export interface ReturnRequest {
  readonly result?: PbResult;
  readonly error?: PbStatus;
}

/** `Solve`: a graph, or the inputs of another frontend that makes one. */
export interface SolveRequest {
  readonly definition: Uint8Array;
  readonly frontend: string;
  readonly frontendOpt: ReadonlyMap<string, string>;
  readonly allowResultReturn: boolean;
  readonly allowResultArrayRef: boolean;
  readonly final: boolean;
  readonly cacheImports: readonly { readonly type: string; readonly attrs: ReadonlyMap<string, string> }[];
  readonly frontendInputs: ReadonlyMap<string, Uint8Array>;
  readonly evaluate: boolean;
  readonly sourcePolicies: readonly Uint8Array[];
}

/** `ReadFile`: bytes of a file in a result. */
export interface ReadFileRequest {
  readonly ref: string;
  readonly path: string;
  readonly range?: { readonly offset: number; readonly length: number };
  /** Of a container. */
  readonly mountIndex: number;
}

/** `ReadDir`: what is in a directory of a result. */
export interface ReadDirRequest {
  readonly ref: string;
  readonly path: string;
  readonly includePattern: string;
  readonly mountIndex: number;
}

/** `StatFile`: what is at a path of a result. */
export interface StatFileRequest {
  readonly ref: string;
  readonly path: string;
  readonly mountIndex: number;
}

/** `ResolveImageConfig`: digest and config of an image. */
export interface ResolveImageRequest {
  readonly ref: string;
  readonly platform?: PbPlatform;
  readonly resolveMode: string;
  readonly logName: string;
  /** 0 is a registry, 1 an OCI layout. */
  readonly resolverType: number;
  readonly storeId: string;
  readonly sourcePolicies: readonly Uint8Array[];
}

/** `ResolveSourceMeta`: what a source of any kind comes to, without fetching its content. */
export interface ResolveSourceRequest {
  readonly source?: { readonly identifier: string; readonly attrs: ReadonlyMap<string, string> };
  readonly platform?: PbPlatform;
  readonly logName: string;
  readonly resolveMode: string;
  readonly git?: { readonly returnObject: boolean };
  readonly image?: {
    readonly noConfig: boolean;
    readonly attestationChain: boolean;
    readonly resolveAttestations: readonly string[];
  };
  readonly http?: { readonly checksumRequest: Uint8Array };
  readonly sourcePolicies: readonly Uint8Array[];
}

/** `Warn`: a warning, with its place in a source file where it has one. */
export interface WarnRequest {
  readonly short: Uint8Array;
  readonly info?: { readonly filename: string };
  readonly ranges: readonly { readonly start?: { readonly line: number }; readonly end?: { readonly line: number } }[];
}

/** A container; of its mounts, `resultId` names what is mounted, and their inputs and outputs mean nothing. */
export interface NewContainerRequest {
  readonly containerId: string;
  readonly mounts: readonly Mount[];
  readonly network: NetworkMode;
  readonly platform?: PbPlatform;
  readonly extraHosts: readonly HostIp[];
  readonly hostname: string;
}

/** One message of `ExecProcess`, either way. */
export interface ExecMessage {
  readonly processId: string;
  readonly input?: ExecInput;
}

/** What it says. */
export type ExecInput =
  | ({ readonly kind: 'init' } & InitMessage)
  | { readonly kind: 'file'; readonly fd: number; readonly eof: boolean; readonly data: Uint8Array }
  | { readonly kind: 'resize'; readonly rows: number; readonly columns: number }
  | { readonly kind: 'started' }
  | { readonly kind: 'exit'; readonly code: number; readonly error?: PbStatus }
  | { readonly kind: 'done' }
  | { readonly kind: 'signal'; readonly name: string };

/** A program to start in a container. */
export interface InitMessage {
  readonly containerId: string;
  readonly meta?: ExecMeta;
  /** Descriptors that the caller wants: 0 to write to, the others to read from. */
  readonly fds: readonly number[];
  readonly tty: boolean;
  readonly security: SecurityMode;
  readonly secretEnv: readonly SecretEnv[];
}

/** What each method of the service is asked with. */
export interface Requests {
  readonly Ping: object;
  readonly Solve: SolveRequest;
  readonly ReadFile: ReadFileRequest;
  readonly ReadDir: ReadDirRequest;
  readonly StatFile: StatFileRequest;
  readonly Evaluate: { readonly ref: string };
  readonly ResolveImageConfig: ResolveImageRequest;
  readonly ResolveSourceMeta: ResolveSourceRequest;
  readonly Inputs: object;
  readonly Warn: WarnRequest;
  readonly Return: ReturnRequest;
  readonly NewContainer: NewContainerRequest;
  readonly ReleaseContainer: { readonly containerId: string };
  readonly ReadFileContainer: ReadFileRequest;
  readonly ReadDirContainer: ReadDirRequest;
  readonly StatFileContainer: StatFileRequest;
}
