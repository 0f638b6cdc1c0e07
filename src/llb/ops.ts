import type { Digest } from '../util/index.ts';

/**
 * BuildKit's `pb.Op` and `pb.Definition` (solver/pb/ops.proto) as plain data. Decoded values are complete: absent scalars
 * have protobuf's default (`''`, 0, false), absent lists are empty, only messages may be undefined.
 */

/** One vertex of the graph as it is marshalled. Its digest is the sha256 of the marshalled bytes. */
export interface Op {
  readonly inputs: readonly OpInput[];
  /** Undefined only in the last op of a definition, which names the result through its single input. */
  readonly body?: OpBody;
  /** Set on exec ops and on image sources only; others do not depend on it. */
  readonly platform?: OpPlatform;
  readonly constraints?: WorkerConstraints;
}

export interface OpInput {
  readonly digest: Digest;
  /** Which output of the input vertex. */
  readonly index: number;
}

export interface OpPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

export interface WorkerConstraints {
  readonly filter: readonly string[];
}

export type OpBody = ExecOp | SourceOp | FileOp | BuildOp | MergeOp | DiffOp | PassthroughOp;

/** Runs a process. Outputs are the writable mounts, in the order of their `output`. */
export interface ExecOp {
  readonly kind: 'exec';
  readonly meta: ExecMeta;
  /** One of them has `dest` `/`. */
  readonly mounts: readonly Mount[];
  readonly network: NetworkMode;
  readonly security: SecurityMode;
  readonly secretEnv: readonly SecretEnv[];
  readonly cdiDevices: readonly CdiDevice[];
}

export type NetworkMode = 'sandbox' | 'host' | 'none';
export type SecurityMode = 'sandbox' | 'insecure';

export interface ExecMeta {
  readonly args: readonly string[];
  /** `KEY=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** `user[:group]`, names or ids; empty is root. */
  readonly user: string;
  readonly proxyEnv?: ProxyEnv;
  readonly extraHosts: readonly HostIp[];
  readonly hostname: string;
  readonly ulimits: readonly Ulimit[];
  readonly cgroupParent: string;
  /** Remove empty mount points made for the step, parents included. */
  readonly removeMountStubsRecursive: boolean;
  /** Exit codes that count as success; empty means only 0. */
  readonly validExitCodes: readonly number[];
}

/** Set in the environment of the process, in both letter cases; not part of the cache key. */
export interface ProxyEnv {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly ftpProxy: string;
  readonly noProxy: string;
  readonly allProxy: string;
}

export interface HostIp {
  readonly host: string;
  readonly ip: string;
}

/** `name` is without the `RLIMIT_` prefix, lower case; -1 is unlimited. */
export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface SecretEnv {
  readonly id: string;
  /** The environment variable. */
  readonly name: string;
  readonly optional: boolean;
}

export interface CdiDevice {
  readonly name: string;
  readonly optional: boolean;
}

export type MountType = 'bind' | 'secret' | 'ssh' | 'cache' | 'tmpfs';
export type CacheSharing = 'shared' | 'private' | 'locked';
export type ContentCache = 'default' | 'on' | 'off';

export interface Mount {
  readonly type: MountType;
  /** Index into the op's inputs; -1 is an empty file system. */
  readonly input: number;
  /** Path within the input that is mounted; empty is all of it. */
  readonly selector: string;
  readonly dest: string;
  /** Index of the op's output that the mount becomes; -1 when what is written is thrown away (or kept in the cache). */
  readonly output: number;
  readonly readonly: boolean;
  readonly tmpfs?: TmpfsOptions;
  readonly cache?: CacheOptions;
  readonly secret?: SecretOptions;
  readonly ssh?: SshOptions;
  readonly resultId: string;
  readonly contentCache: ContentCache;
}

/** `size` in bytes, 0 is no limit. */
export interface TmpfsOptions {
  readonly size: number;
}

export interface CacheOptions {
  readonly id: string;
  readonly sharing: CacheSharing;
}

export interface SecretOptions {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly optional: boolean;
}

export interface SshOptions {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly optional: boolean;
}

/** Brings something in: `docker-image://`, `local://`, `git://`, `https://`, `http://`, `oci-layout://`, `docker-image+blob://`. */
export interface SourceOp {
  readonly kind: 'source';
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
}

export interface FileOp {
  readonly kind: 'file';
  readonly actions: readonly FileAction[];
}

export interface FileActionBase {
  /** The tree that is changed: an input of the op, or (inputs + i) the result of action i; -1 is scratch. */
  readonly input: number;
  /** Where a copy reads, counted the same way; -1 for scratch and for all other actions. */
  readonly secondaryInput: number;
  /** Index of the op's output, -1 for an intermediate result. */
  readonly output: number;
}

export type FileAction = FileActionBase & FileActionBody;
export type FileActionBody = CopyAction | MkfileAction | MkdirAction | RmAction | SymlinkAction;

export interface CopyAction {
  readonly kind: 'copy';
  readonly src: string;
  readonly dest: string;
  readonly owner?: ChownOptions;
  /** Permission bits for everything copied, -1 to keep them. */
  readonly mode: number;
  /** Resolve symbolic links in `src`. */
  readonly followSymlink: boolean;
  /** Copy the contents of a directory and not the directory. */
  readonly dirCopyContents: boolean;
  /** Unpack the source when it is an archive. */
  readonly attemptUnpack: boolean;
  readonly createDestPath: boolean;
  readonly allowWildcard: boolean;
  readonly allowEmptyWildcard: boolean;
  /** Nanoseconds since the epoch for everything copied, -1n to keep times. */
  readonly timestamp: bigint;
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  readonly alwaysReplaceExistingDestPaths: boolean;
  /** Symbolic mode such as `u=rwX,go-w`; wins over `mode`. */
  readonly modeStr: string;
  readonly requiredPaths: readonly string[];
}

export interface MkfileAction {
  readonly kind: 'mkfile';
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: ChownOptions;
  /** Nanoseconds since the epoch, -1n for now. */
  readonly timestamp: bigint;
}

export interface MkdirAction {
  readonly kind: 'mkdir';
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly owner?: ChownOptions;
  /** Nanoseconds since the epoch, -1n for now. */
  readonly timestamp: bigint;
}

export interface RmAction {
  readonly kind: 'rm';
  readonly path: string;
  readonly allowNotFound: boolean;
  readonly allowWildcard: boolean;
}

export interface SymlinkAction {
  readonly kind: 'symlink';
  /** What the link points at. */
  readonly oldPath: string;
  /** Where the link is made. */
  readonly newPath: string;
  readonly owner?: ChownOptions;
  /** Nanoseconds since the epoch, -1n for now. */
  readonly timestamp: bigint;
}

export interface ChownOptions {
  readonly user?: UserOption;
  readonly group?: UserOption;
}

/** A name is looked up in /etc/passwd or /etc/group of the op's input with that index. */
export type UserOption =
  | { readonly kind: 'byName'; readonly name: string; readonly input: number }
  | { readonly kind: 'byId'; readonly id: number };

/** A build within the build; decoded and shown, never run. */
export interface BuildOp {
  readonly kind: 'build';
  readonly builder: number;
  readonly inputs: ReadonlyMap<string, { readonly input: number }>;
  readonly def?: PbDefinition;
  readonly attrs: ReadonlyMap<string, string>;
}

/** Lays inputs on top of each other, later ones win. */
export interface MergeOp {
  readonly kind: 'merge';
  readonly inputs: readonly { readonly input: number }[];
}

/** What has to be laid on `lower` to get `upper`; -1 is scratch. */
export interface DiffOp {
  readonly kind: 'diff';
  readonly lower?: { readonly input: number };
  readonly upper?: { readonly input: number };
}

/** Hands inputs on unchanged and ties further ones to them; decoded and shown, never run. */
export interface PassthroughOp {
  readonly kind: 'passthrough';
  readonly id: string;
  readonly outputs: readonly number[];
}

/** What is known of a vertex beside its identity; not part of the digest. */
export interface OpMetadata {
  readonly ignoreCache: boolean;
  /** `llb.customname` is the name shown. */
  readonly description: ReadonlyMap<string, string>;
  readonly exportCache?: { readonly value: boolean };
  readonly caps: ReadonlyMap<string, boolean>;
  readonly progressGroup?: ProgressGroup;
  readonly linuxResources?: LinuxResources;
}

export interface ProgressGroup {
  readonly id: string;
  readonly name: string;
  readonly weak: boolean;
}

/** cgroup limits of a step. Memory in bytes, periods and quotas in microseconds, 0 is no limit. */
export interface LinuxResources {
  readonly memory: number;
  readonly memorySwap: number;
  readonly cpuShares: number;
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
}

/** Where in which source file a vertex comes from. */
export interface SourceMap {
  readonly locations: ReadonlyMap<Digest, { readonly locations: readonly SourceLocation[] }>;
  readonly infos: readonly SourceInfo[];
}

export interface SourceInfo {
  readonly filename: string;
  readonly data: Uint8Array;
  readonly definition?: PbDefinition;
  readonly language: string;
}

export interface SourceLocation {
  readonly sourceIndex: number;
  readonly ranges: readonly PbRange[];
}

/** Lines count from 1, characters from 0; the end line is included. */
export interface PbRange {
  readonly start?: PbPosition;
  readonly end?: PbPosition;
}

export interface PbPosition {
  readonly line: number;
  readonly character: number;
}

/**
 * A graph in wire form: marshalled ops, inputs before their consumers. The last op has one input, the result, and no body;
 * an empty `def` is scratch.
 */
export interface PbDefinition {
  readonly def: readonly Uint8Array[];
  readonly metadata: ReadonlyMap<Digest, OpMetadata>;
  readonly source?: SourceMap;
}

/** The shorter name under which the rest of the program knows it. */
export type Definition = PbDefinition;
