import type { ContainerMethods } from './container-methods.ts';
import type { LayerMethods } from './layer-methods.ts';
import type { MountMethods } from './mount-methods.ts';
import type { StepUsage } from '../events/index.ts';
import type { NoUserNetwork } from '../network/index.ts';
import type { ExitStatus, NamespacePlan, StepSpec, StepTree, TreeUsage } from '../sandbox/index.ts';

/**
 * What the worker can do. Every method is a function of plain data to plain data (structured clone), so that it can cross
 * a process boundary. Paths are absolute; layers are lists of layer directories, bottom first. `handlers.ts` has the code
 * of each.
 */
export interface WorkerMethods extends LayerMethods, MountMethods, ContainerMethods {
  /** Makes an upper and a work directory whose root looks like that of the topmost lower. */
  prepareUpper(params: PrepareUpperParams): void;
  /** Runs one step to its end. Output comes as events; what it used comes once as progress, a `StepProgress`. */
  runStep(params: RunStepParams): ExitStatus;
  /** Stays with a container until that has ended. That clients can connect, and that its first program runs, is progress: a word. */
  supervise(params: SuperviseParams): void;
  /** Begins to make the network that isolated steps share, and returns at once. */
  prepareNetwork(params: undefined): void;
  /** Deletes trees whose files may belong to sub-ids, however deep and whatever their modes. */
  removeTrees(params: { readonly paths: readonly string[] }): void;
  /** Space on disk of trees, each hard-linked file counted once, and what shows later whether they changed. */
  usage(params: { readonly paths: readonly string[] }): readonly TreeUsage[];
  /** Reads one regular file of a layer stack; undefined when it does not exist. */
  readFile(params: ReadFileParams): Uint8Array | undefined;
  /** What is at a path of a layer stack; undefined when nothing is. */
  statPath(params: StatPathParams): PathStat | undefined;
  /** What is in a directory of a layer stack, sorted by the bytes of names. */
  readDirectory(params: ReadDirectoryParams): readonly NamedStat[] | undefined;
}

/** A layer that is about to be filled. */
export interface PrepareUpperParams {
  /** Directory that gets `fs` and `work`; made when missing. */
  readonly dir: string;
  /** Directories beneath the new layer, bottom first. */
  readonly lowers: readonly string[];
}

/** A step, and what is made for it just before. */
export interface RunStepParams extends StepSpec {
  /** What `prepareUpper` makes, in the same call: each costs a step some time. */
  readonly uppers?: readonly PrepareUpperParams[];
}

/** A container whose programs are started through a socket in `directory`, as an empty one. */
export interface SuperviseParams extends RunStepParams {
  readonly directory: string;
  /** For plans with copies: where its files are. Whoever asks removes it. */
  readonly tree?: StepTree;
}

/** What a step used, told before its end. */
export interface StepProgress {
  readonly usage: StepUsage;
  /** Bytes of files that a step in groups of control had in memory when it failed. */
  readonly filesInMemory?: number;
}

/** A path within a stack of layers. */
export interface StatPathParams {
  readonly layers: readonly string[];
  /** Resolved within the stack; symbolic links of the image stay inside it. */
  readonly path: string;
  /** Follow a symbolic link at the end, default true. */
  readonly followLast?: boolean;
}

/** A small file of a stack, such as /etc/passwd or a Dockerfile of a remote context. */
export interface ReadFileParams extends StatPathParams {
  /** An error is given for larger files. Bytes. */
  readonly maxBytes: number;
  /** Only so many bytes from its start are wanted, however large it is. */
  readonly limit?: number;
}

/** What `statPath` tells of a file. */
export interface PathStat {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly mode: number;
  /** As the image has them. */
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Target, for a symbolic link. */
  readonly link?: string;
}

/** A directory of a stack. */
export interface ReadDirectoryParams extends StatPathParams {
  /** Names beyond so many are left out. */
  readonly maxNames: number;
}

/** What `readDirectory` tells of one name; symbolic links are not followed. */
export interface NamedStat extends PathStat {
  readonly name: string;
}

/** Names of the methods. */
export type MethodName = keyof WorkerMethods;
/** What a method takes. */
export type ParamsOf<M extends MethodName> = Parameters<WorkerMethods[M]>[0];
/** What a method gives. */
export type ResultOf<M extends MethodName> = ReturnType<WorkerMethods[M]>;

/** What the worker is told at its start. */
export interface WorkerConfig {
  readonly helperPath: string;
  /** Path of the worker's own program, which its threads run too. */
  readonly entry: string;
  readonly storeRoot: string;
  readonly plan: NamespacePlan;
  /** Directory with the compiled seccomp filters. */
  readonly seccompDir: string;
  /** A tmpfs that only the worker's namespace sees: for mount points. */
  readonly privateDir: string;
  /** The store session that temporary files belong to. */
  readonly session?: string;
  /** Where copies of layers may be made, for plans that have them; it need not exist. */
  readonly treesDir?: string;
}

/** Main to worker; several in one piece. */
export type ToWorker =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly params: unknown }
  | { readonly type: 'cancel'; readonly id: number }
  /** Bytes of events that were taken; lets the worker read on. */
  | { readonly type: 'ack'; readonly id: number; readonly bytes: number };

/** Worker to main; several in one piece. */
export type FromWorker =
  | { readonly type: 'ready' }
  /** A step got the /proc around it, because a new one cannot be mounted here. */
  | { readonly type: 'bound-proc' }
  /** A step that asked for an isolated network got the machine's. */
  | { readonly type: 'shared-network'; readonly why: NoUserNetwork }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }
  /** Output of a step (`stream` 1 or 2), acknowledged by `ack`. */
  | { readonly type: 'output'; readonly id: number; readonly stream: 1 | 2; readonly data: Uint8Array }
  /** Progress of a job, not acknowledged. */
  | { readonly type: 'progress'; readonly id: number; readonly data: unknown };

/** A TsbuildError as it crosses the boundary. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Text of the cause, for internal faults: its stack. */
  readonly detail?: string;
}
