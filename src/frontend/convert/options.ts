import type {
  CdiDevice,
  Definition,
  HostIp,
  LinuxResources,
  NetworkMode,
  ResolveMode,
  Ulimit,
} from '../../llb/index.ts';
import type { Platform } from '../../image/index.ts';
import type { SourceFile } from '../../util/index.ts';

/** Where the files come from that COPY and ADD read. */
export type ContextSpec =
  /** A local directory, by the name under which the build request has it; its ignore file applies. */
  | { readonly kind: 'local'; readonly name: string }
  /** A git repository, a web archive, or one file from the web, which then is the Dockerfile. */
  | { readonly kind: 'remote'; readonly url: string }
  /** A tar archive, compressed perhaps, that came by standard input: the only file that matters of a local directory. */
  | { readonly kind: 'archive'; readonly local: string; readonly path: string }
  /** What a graph of somebody else makes. */
  | { readonly kind: 'definition'; readonly definition: Definition }
  /** Nothing: a Dockerfile from standard input without context. */
  | { readonly kind: 'empty' };

/** What a build is asked to do; BuildKit's frontend options, typed. */
export interface CompileOptions {
  readonly context: ContextSpec;
  /** A directory within a remote context that is taken for all of it. */
  readonly contextSubdir?: string;
  /** The Dockerfile's path in its directory, default `Dockerfile` with fallback `dockerfile`. */
  readonly filename?: string;
  /**
   * Name of the local directory that has the Dockerfile, where that is not the context's. With a remote context the
   * Dockerfile is in the context unless this is given.
   */
  readonly dockerfileLocal?: string;
  /** The Dockerfile's text, where it was given by other means. */
  readonly dockerfile?: SourceFile;
  /** Name or index of the stage that is built; default the last one. */
  readonly target?: string;
  /** Empty for the platform of this machine, which then is not written into `config` over what the base says. */
  readonly platforms: readonly Platform[];
  /** The platform that steps run on without emulation. */
  readonly buildPlatform: Platform;
  /** Make an index even of one platform. */
  readonly multiPlatform?: boolean;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** True for every stage, or the names of those whose steps are run anew. */
  readonly noCache?: true | readonly string[];
  /**
   * What stands in for images and stages by that name, as `docker-image://…`, `oci-layout://store@sha256:…`, `local:name`,
   * `input:name`, a git or a web URL. Keys may end in `::os/arch`.
   */
  readonly namedContexts: ReadonlyMap<string, string>;
  readonly imageResolveMode?: ResolveMode;
  readonly network?: NetworkMode;
  readonly extraHosts?: readonly HostIp[];
  readonly hostname?: string;
  /** Bytes, 0 for the default. */
  readonly shmSize?: number;
  readonly ulimits?: readonly Ulimit[];
  readonly devices?: readonly CdiDevice[];
  readonly cgroupParent?: string;
  readonly linuxResources?: LinuxResources;
  /** Lower every stage and not only what the target needs, to check them. */
  readonly allStages?: boolean;
}
