/**
 * Whose network a step sees: the machine's, none but its own loopback, one that steps share, which leads outside but not to the
 * machine's loopback, or one of its own that has nothing but a proxy. The last two are made by whoever runs the step, and encoded as a
 * namespace to join.
 */
export type NetworkMode = 'host' | 'none' | 'isolated' | 'proxied';

/** `insecure` gives all capabilities of the step's user namespace and no seccomp filter; it must be allowed by the user. */
export type SecurityMode = 'sandbox' | 'insecure';

/** Binds a directory or file of the machine. */
export interface BindMount {
  readonly type: 'bind';
  /** Absolute path outside the sandbox. */
  readonly source: string;
  /** Path beneath `source`, resolved as if `source` were the root directory (CVE-2024-1753, CVE-2024-23651). */
  readonly subpath?: string;
  readonly target: string;
  readonly readonly?: boolean;
  /** The volume whose directory `source` is: it is called so in lists. */
  readonly volume?: string;
  /** While that directory is empty, it gets what the image has at `target`. */
  readonly fill?: boolean;
  /** It is the store's own, and nobody else has it: where nothing can be mounted it may be moved to its target and back. */
  readonly movable?: boolean;
}

/** Mounts a stack of layers, e.g. another stage, at `target`. */
export interface LayersMount {
  readonly type: 'layers';
  /** Layer directories, bottom first. */
  readonly lowers: readonly string[];
  /** Where writes go. Without it a writable mount keeps its writes in memory until the step ends. */
  readonly upper?: string;
  readonly work?: string;
  /** Path beneath the stack's root, resolved there. */
  readonly subpath?: string;
  readonly target: string;
  readonly readonly?: boolean;
}

/** Memory that a step can write to, gone with it. */
export interface TmpfsMount {
  readonly type: 'tmpfs';
  readonly target: string;
  /** Bytes; the kernel's default (half of the memory) when absent. */
  readonly size?: number;
  /** Permission bits of its root directory, default 0o1777. */
  readonly mode?: number;
  /** Owner of that inside the step, default 0. */
  readonly uid?: number;
  readonly gid?: number;
  /** Programs in it cannot be executed. */
  readonly noexec?: boolean;
  readonly readonly?: boolean;
}

/** A file that exists only in memory and only for the step: secrets, /etc/hosts, /etc/resolv.conf. */
export interface FileMount {
  readonly type: 'file';
  readonly target: string;
  readonly data: Uint8Array;
  /** Permission bits, default 0o400. */
  readonly mode?: number;
  /** Owner inside the step, default 0. */
  readonly uid?: number;
  readonly gid?: number;
  /** Default true. */
  readonly readonly?: boolean;
}

/** A socket that somebody outside listens at. It is given away to the step: its owner and mode are set. */
export interface SocketMount {
  readonly type: 'socket';
  /** Absolute path outside the sandbox, in a directory that others cannot enter. */
  readonly source: string;
  readonly target: string;
  /** Permission bits. */
  readonly mode: number;
  /** Owner inside the step. */
  readonly uid: number;
  readonly gid: number;
}

/** A character or block device of the machine, under any name. Its owner and mode are those that it has outside. */
export interface DeviceMount {
  readonly type: 'device';
  /** Absolute path outside the sandbox. */
  readonly source: string;
  readonly target: string;
}

/** What can stand at a mount point of a step. */
export type MountSpec = BindMount | DeviceMount | LayersMount | TmpfsMount | FileMount | SocketMount;

/** A resource limit in the terms of `docker run --ulimit`. -1 is unlimited. */
export interface Ulimit {
  /** Without `RLIMIT_`, lower case: `nofile`, `nproc`, `core`, ... */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** A line of /etc/hosts. */
export interface ExtraHost {
  readonly host: string;
  readonly ip: string;
}

/** Processes of a step, podman's default. */
export const DEFAULT_PROCESS_LIMIT = 2048;

/** A program that executes those of another architecture, and how the kernel is told of it. */
export interface Emulator {
  /** The format's name in a list of the builder's own. */
  readonly name: string;
  readonly interpreter: string;
  /** What is written to `register` of binfmt_misc. */
  readonly rule: string;
}

/** Where a step's root is a directory, for lack of overlays. */
export interface StepTree {
  /** An existing directory. Gets `root`, and others for the time of the step. */
  readonly dir: string;
  /** Layers that are still to be copied into it, bottom first. */
  readonly apply: readonly string[];
  /** All of it stays as the step leaves it, and what has changed is written nowhere: somebody looks into it. */
  readonly stays?: boolean;
}

/** One process in a sandbox of its own. Paths of layers are absolute and belong to the store. */
export interface StepSpec {
  /** Layer directories of the root file system, bottom first. */
  readonly lowers: readonly string[];
  /** Where writes go; `work` is overlay's own directory on the same file system. */
  readonly upper: string;
  readonly work: string;
  /** Gives the empty `upper` the attributes of the topmost layer's root first. */
  readonly prepareUpper?: boolean;
  /** `upper` and `work` are deleted when the step is over; where that fails, they are left. Only without `copies`. */
  readonly discard?: boolean;
  /** Makes the root file system read-only for the step. */
  readonly readonlyRoot?: boolean;
  /** In any order; parents are mounted before what lies beneath them. */
  readonly mounts?: readonly MountSpec[];
  /** At least one. The first is looked up in PATH of `env` unless it has a slash. */
  readonly args: readonly string[];
  /** `NAME=value` each; nothing else is in the step's environment except HOME, which is added when absent. */
  readonly env: readonly string[];
  /** Absolute. Created with the user's ownership when missing. */
  readonly cwd: string;
  /** `name`, `uid`, `name:group`, `uid:gid`; empty is root. Names are looked up in the image's own files. */
  readonly user: string;
  /** Further groups that the user is in: ids, as they are inside the step, or names of its /etc/group. */
  readonly groups?: readonly (number | string)[];
  readonly hostname: string;
  readonly network: NetworkMode;
  /** With `isolated` and `proxied`: the file that the namespace to join is bound to, in namespace A. */
  readonly networkPath?: string;
  /** With `proxied`: the port of the loopback interface at which the proxy is, and the socket that it listens at outside. */
  readonly proxy?: { readonly port: number; readonly socket: string };
  readonly security: SecurityMode;
  readonly noNewPrivileges?: boolean;
  /** No filter of system calls. `insecure` has none either. */
  readonly unfiltered?: boolean;
  /** Nothing of /proc and /sys is hidden or read-only by itself, so that namespaces within can have a /proc of their own. As `insecure`. */
  readonly unmasked?: boolean;
  /** Capabilities beside docker's default ones, and those of them that are taken away (`parseCapability`). Not for `insecure`. */
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly extraHosts?: readonly ExtraHost[];
  /** Content for /etc/resolv.conf; absent: the image's own file stays. */
  readonly resolvConf?: string;
  /** As containers have it, unlike steps: there is /etc/hostname, and who may write to the root may write to that, to hosts and resolv.conf. */
  readonly ownsNames?: boolean;
  /** Content for /etc/hosts; absent: made from `hostname` and `extraHosts`. */
  readonly hosts?: string;
  readonly ulimits?: readonly Ulimit[];
  /** Processes and threads that the step's user may have at a time; 0 or absent: no limit of the step's own. */
  readonly processLimit?: number;
  /** Directories of groups of control that the step's processes are put into; somebody else makes them (src/limits). */
  readonly cgroups?: readonly string[];
  /** Parameters of the kernel that belong to the step's own namespaces: `net.core.somaxconn` and their values. Those of networks not with `host`. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Bytes of /dev/shm, default 64 MiB. */
  readonly shmSize?: number;
  /** Gives the process a terminal of its own. */
  readonly tty?: boolean;
  /** Passes standard input on. Default: standard input is /dev/null. */
  readonly stdin?: boolean;
  /** Executes the step's programs, which are another processor's. */
  readonly emulator?: Emulator;
  /**
   * Namespaces that are not the step's own: the machine's, or those of another container, which are found in a directory of namespace A
   * (native/src/share.c). Who shares the processes of another container is in its user namespace, too. `none` has no /dev/shm.
   */
  readonly processes?: 'host' | { readonly directory: string };
  readonly ipc?: 'host' | 'none' | 'shareable' | { readonly directory: string };
  readonly uts?: 'host';
  /** A helper process stays PID 1, reaps orphans and passes signals on, as `docker run --init`. */
  readonly init?: boolean;
  /**
   * Ids of the user, who has them in the step instead of root's; root has those that they would have been. For plans without a shift. What
   * belongs to root in an image is the user's then.
   */
  readonly keepIds?: { readonly uid: number; readonly gid: number };
  /** Nothing is executed: the root is there, with all its mounts, until the helper gets a signal. */
  readonly hold?: boolean;
}

/** How a step ended. A sandbox that could not be set up is an error instead. */
export type ExitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string }
  /** The program could not be executed: `errno` says why (`ENOENT`: not found). */
  | {
      readonly kind: 'not-executed';
      readonly path: string;
      readonly errno: string;
      /** The errno with which the kernel refused the step's emulator. */
      readonly emulatorRefused?: string;
    };

/** One run of consecutive ids of the map of namespace A. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** How namespace A is made on this machine, for this user. */
export interface NamespacePlan {
  /** `newidmap`: through newuidmap and newgidmap; `direct`: by writing the map; `none`: there is none, and steps are root's alone. */
  readonly how: 'newidmap' | 'direct' | 'none';
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
  /** Added to an image's ids on disk. */
  readonly idShift: number;
  /** Ids of images go from 0 to idCount - 1. */
  readonly idCount: number;
  /** Stacks of layers are copied into directories, because none can be mounted. */
  readonly copies?: boolean;
  /** Whose /proc steps must have; absent: their own where that is possible, else the one around them. */
  readonly proc?: 'own' | 'around';
  /**
   * Set where the namespace has one id, so that files remember their owners in place of having them, and steps are told that they changed
   * them and themselves: `recorded`, or only `told`, where nobody can listen to what steps ask for.
   */
  readonly owners?: 'recorded' | 'told';
  /** With `owners`: why there is no other plan, and what to type for one; absent where this one was asked for. */
  readonly lacks?: { readonly message: string; readonly fix: string };
  /** Set to refuse steps. */
  readonly steps?: false;
  /** Absolute paths, for `newidmap`. */
  readonly newuidmap?: string;
  readonly newgidmap?: string;
}
