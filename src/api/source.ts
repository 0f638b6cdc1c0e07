import type { Resources } from './resources.ts';

/** A secret for `RUN --mount=type=secret`: its value, or a file that is read when a step needs it. */
export type Secret = string | { readonly file: string };

/** What is built, as the options of `tsbuild build` have it. Everything but `context` has the default of the command line. */
export interface BuildSource extends Resources {
  /** Directory with the files that COPY and ADD read, git repository, or address of an archive. */
  readonly context: string;
  /**
   * The Dockerfile: a path from the working directory or, where there is none, from the context; or a web address. Default: `Dockerfile`
   * in the context.
   */
  readonly file?: string;
  readonly target?: string;
  /** `os/arch[/variant]` each; more than one gives an index. */
  readonly platforms?: readonly string[];
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Other contexts by name: directories, `docker-image://`, `oci-layout://`, git repositories, web addresses. */
  readonly buildContexts?: Readonly<Record<string, string>>;
  /** Secrets by id. Their values are `***` in all events. */
  readonly secrets?: Readonly<Record<string, Secret>>;
  /**
   * SSH agents by id, for `RUN --mount=type=ssh` and git: the socket of an agent, or files with private keys. None: the agent at
   * `$SSH_AUTH_SOCK`.
   */
  readonly ssh?: Readonly<Record<string, readonly string[]>>;
  /** Run every step again, or those of some stages. */
  readonly noCache?: boolean | readonly string[];
  /** Ask registries for newer base images. */
  readonly pull?: boolean;
  /** Ask nobody: what the store and the lock file have must do. */
  readonly offline?: boolean;
  /** `record` and `locked` are about the lock file too. */
  readonly network?: 'default' | 'none' | 'host' | 'record' | 'locked';
  /** Lines for /etc/hosts of steps: addresses by name. */
  readonly extraHosts?: Readonly<Record<string, string>>;
  /** Bytes of /dev/shm in steps. */
  readonly shmSize?: number;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** What a Dockerfile may not do by itself. */
  readonly allow?: readonly ('network.host' | 'network.post' | 'security.insecure' | 'frontend')[];
  /** One digest wherever it is built. Default: what `$TSBUILD_REPRODUCIBLE` says. */
  readonly reproducible?: boolean;
  /** Seconds since the epoch, for the times in the image. Default: `$SOURCE_DATE_EPOCH`. */
  readonly sourceDateEpoch?: number;
  /** `tsbuild.lock`: which file (default: the one of the context, where there is one), and what it means for the build. */
  readonly lock?: {
    readonly file?: string;
    /** Nothing else than what it names is used. */
    readonly locked?: boolean;
    /** Look things up again and write it: all, or these. */
    readonly update?: true | readonly string[];
  };
  /** Files with rules about sources, besides that of `$EXPERIMENTAL_BUILDKIT_SOURCE_POLICY`. */
  readonly sourcePolicies?: readonly string[];
  /** As `--cache-from` takes them. */
  readonly cacheFrom?: readonly string[];
  /** As `--cache-to` takes them. */
  readonly cacheTo?: readonly string[];
  /** Milliseconds that the whole build may take. */
  readonly timeout?: number;
  /** Milliseconds that each RUN step may take. */
  readonly stepTimeout?: number;
  /** Steps that may run at a time. */
  readonly jobs?: number;
  /** An event of type `reason` tells for each step why it ran or did not. */
  readonly explain?: boolean;
  /** Warnings about what BuildKit does silently are errors. */
  readonly strict?: boolean;
}
