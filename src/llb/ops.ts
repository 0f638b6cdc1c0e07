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

/** One input of an op: an output of another vertex. The order of inputs is part of the op's digest. */
export interface OpInput {
  readonly digest: Digest;
  /** Which output of the input vertex. */
  readonly index: number;
}

/**
 * `pb.Platform`. An op is only as portable as this says; a file op has none, so that all platforms share its result.
 */
export interface OpPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

/** Which of a daemon's workers may run the op. There is one here, so they are carried along and not read. */
export interface WorkerConstraints {
  readonly filter: readonly string[];
}

/** What an op does: the `oneof op` of `pb.Op`, told apart by `kind`. */
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

/**
 * `sandbox` is a network of its own where the machine allows one, `host` needs an entitlement, `none` is loopback
 * alone.
 */
export type NetworkMode = 'sandbox' | 'host' | 'none';
/** `insecure` lifts seccomp and capabilities as far as a rootless step can have them, and needs an entitlement. */
export type SecurityMode = 'sandbox' | 'insecure';

/** What is run and in which surroundings: `pb.Meta`. */
export interface ExecMeta {
  readonly args: readonly string[];
  /** `KEY=value`. */
  readonly env: readonly string[];
  /** Made if need be. Relative paths were resolved when the graph was made. */
  readonly cwd: string;
  /** `user[:group]`, names or ids; empty is root. */
  readonly user: string;
  readonly proxyEnv?: ProxyEnv;
  readonly extraHosts: readonly HostIp[];
  /** Empty is BuildKit's `buildkitsandbox`. */
  readonly hostname: string;
  readonly ulimits: readonly Ulimit[];
  /** Carried along: without a daemon there is no cgroup of ours to put a step beneath. */
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

/** A line of the step's /etc/hosts. */
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

/** A secret that a step gets as an environment variable. Its value is never part of a key. */
export interface SecretEnv {
  readonly id: string;
  /** The environment variable. */
  readonly name: string;
  readonly optional: boolean;
}

/** A device by its qualified name, `vendor.com/class=name`, as the Container Device Interface has it. */
export interface CdiDevice {
  readonly name: string;
  /** The step runs without it where the machine has none. */
  readonly optional: boolean;
}

/** What stands at a mount point: files of an input, a secret, an agent's socket, a persistent directory, or memory. */
export type MountType = 'bind' | 'secret' | 'ssh' | 'cache' | 'tmpfs';
/** Who may use a cache mount at a time: everybody, one step that others give way to, or one that others wait for. */
export type CacheSharing = 'shared' | 'private' | 'locked';
/** Whether the content of an input may stand for it in the key; `default` lets the kind of mount decide. */
export type ContentCache = 'default' | 'on' | 'off';

/** `pb.Mount`: the root file system and everything that `RUN --mount` asks for. */
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
  /** BuildKit's client names results by it; carried along. */
  readonly resultId: string;
  readonly contentCache: ContentCache;
}

/** `size` in bytes, 0 is no limit. */
export interface TmpfsOptions {
  readonly size: number;
}

/** Which persistent directory a cache mount is: equal ids of equal platforms share it. */
export interface CacheOptions {
  readonly id: string;
  readonly sharing: CacheSharing;
}

/** A secret as a file: who owns it and who may read it. */
export interface SecretOptions {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  /** The step runs without the file where the build was given no such secret. */
  readonly optional: boolean;
}

/** A socket behind which an agent lists keys and signs: `RUN --mount=type=ssh`. */
export interface SshOptions {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly optional: boolean;
}

/** Brings something in: `docker-image://`, `local://`, `git://`, `https://`, `http://`, `oci-layout://`, and blobs: `docker-image+blob://`, `oci-layout+blob://`. */
export interface SourceOp {
  readonly kind: 'source';
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
}

/**
 * Changes file trees without running anything. Its actions form a graph of their own by the numbers of their inputs.
 */
export interface FileOp {
  readonly kind: 'file';
  readonly actions: readonly FileAction[];
}

/** Which trees an action reads and makes. */
export interface FileActionBase {
  /** The tree that is changed: an input of the op, or (inputs + i) the result of action i; -1 is scratch. */
  readonly input: number;
  /** Where a copy reads, counted the same way; -1 for scratch and for all other actions. */
  readonly secondaryInput: number;
  /** Index of the op's output, -1 for an intermediate result. */
  readonly output: number;
}

/** One action with its place in the op. */
export type FileAction = FileActionBase & FileActionBody;
/** What an action does, told apart by `kind`. */
export type FileActionBody = CopyAction | MkfileAction | MkdirAction | RmAction | SymlinkAction;

/** COPY, ADD and what else copies: `pb.FileActionCopy`. */
export interface CopyAction {
  readonly kind: 'copy';
  /** Within the tree at `secondaryInput`; with wildcards where `allowWildcard` says so. */
  readonly src: string;
  /** Within the tree at `input`. A trailing slash makes it a directory to copy into. */
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
  /** Make missing directories above `dest`, with mode 0755. */
  readonly createDestPath: boolean;
  /** `src` is a pattern of Go's filepath.Match. */
  readonly allowWildcard: boolean;
  /** A pattern that matches nothing copies nothing, and is no error. */
  readonly allowEmptyWildcard: boolean;
  /** Nanoseconds since the epoch for everything copied, -1n to keep times. */
  readonly timestamp: bigint;
  /** Only what these match is copied; all when empty. Paths are relative to the source directory. */
  readonly includePatterns: readonly string[];
  /** What these match is left out, `COPY --exclude`. */
  readonly excludePatterns: readonly string[];
  /** A file may replace a directory and the other way round. */
  readonly alwaysReplaceExistingDestPaths: boolean;
  /** Symbolic mode such as `u=rwX,go-w`; wins over `mode`. */
  readonly modeStr: string;
  /** Each must be the beginning of something that is copied; `COPY a b /` with one of them missing fails by this. */
  readonly requiredPaths: readonly string[];
}

/** Writes a file: a heredoc of COPY or ADD. */
export interface MkfileAction {
  readonly kind: 'mkfile';
  readonly path: string;
  /** Permission bits, the umask does not count. */
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: ChownOptions;
  /** Nanoseconds since the epoch, -1n for now. */
  readonly timestamp: bigint;
}

/** Makes a directory: WORKDIR, and what other front ends do. */
export interface MkdirAction {
  readonly kind: 'mkdir';
  readonly path: string;
  readonly mode: number;
  /** As `mkdir -p`: missing parents are made, and the directory may be there. */
  readonly makeParents: boolean;
  readonly owner?: ChownOptions;
  /** Nanoseconds since the epoch, -1n for now. */
  readonly timestamp: bigint;
}

/** Removes a path with all that is beneath it. */
export interface RmAction {
  readonly kind: 'rm';
  readonly path: string;
  readonly allowNotFound: boolean;
  readonly allowWildcard: boolean;
}

/** Makes a symbolic link. The target is not looked at. */
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

/** Owner of what an action makes; what is left out is 0, or for a copy what the source has. */
export interface ChownOptions {
  readonly user?: UserOption;
  readonly group?: UserOption;
}

/** A name is looked up in /etc/passwd or /etc/group of the op's input with that index. */
export type UserOption =
  | { readonly kind: 'byName'; readonly name: string; readonly input: number }
  | { readonly kind: 'byId'; readonly id: number };

/** A build within the build: of a definition that a file of an input holds. `builder` is -1, there never was another. */
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

/** Hands inputs on unchanged and ties further ones to them. */
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

/** Vertices that are shown as one, such as the parts of `COPY --link`. */
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

/** A file that vertices come from, with its text, so that failures can show the place. */
export interface SourceInfo {
  readonly filename: string;
  readonly data: Uint8Array;
  readonly definition?: PbDefinition;
  readonly language: string;
}

/** Ranges in one of the files. */
export interface SourceLocation {
  /** Into `SourceMap.infos`. */
  readonly sourceIndex: number;
  readonly ranges: readonly PbRange[];
}

/** Lines count from 1, characters from 0; the end line is included. */
export interface PbRange {
  readonly start?: PbPosition;
  readonly end?: PbPosition;
}

/** A place in a file. */
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
