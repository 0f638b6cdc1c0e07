import type { SecretSource } from '../secrets/index.ts';
import type { PinPolicy } from '../pins/index.ts';
import type { SourcePolicy } from '../source-policy/index.ts';
import type { ResourceLimits } from '../limits/index.ts';
import type { ImageConfig, Platform } from '../image/index.ts';
import type { Definition } from '../llb/index.ts';
import type { SourceFile } from '../util/index.ts';
import type { CacheExport, CacheImport } from '../remote-cache/index.ts';
import { type DeviceGrants, noDevices, type StepVisitor } from '../ops/index.ts';

/** A graph that did not come from a Dockerfile here, with what its names stand for. */
export interface ForeignDefinition {
  readonly definition: Definition;
  /** Absolute host directories by the names that local sources have. */
  readonly locals: ReadonlyMap<string, string>;
  /** Absolute OCI layout directories by the ids that their sources have. */
  readonly layouts: ReadonlyMap<string, string>;
  /** For the image: a graph says what is in it, not how it is run. Default: an empty one. */
  readonly config?: ImageConfig;
}

/** What `tsbuild build` was asked for, with everything from the command line resolved. */
export interface BuildRequest {
  /** Host directory that COPY and ADD read; absent: there is none, and the Dockerfile came by other means. */
  readonly contextDir?: string;
  /** What stands in for the directory: a git repository or web address, or an archive that is read once. */
  readonly context?:
    | { readonly kind: 'remote'; readonly url: string }
    | { readonly kind: 'archive'; readonly data: AsyncIterable<Uint8Array> };
  /**
   * The Dockerfile, where it is not `Dockerfile` in the context: host directory and name, a path in a context that is no directory,
   * a web address, or its text.
   */
  readonly dockerfile?:
    | { readonly dir: string; readonly name: string }
    | { readonly inContext: string }
    | { readonly url: string }
    | SourceFile;
  /** A graph that another program made, in place of a Dockerfile. */
  readonly definition?: ForeignDefinition;
  readonly target?: string;
  readonly platforms: readonly Platform[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** `--build-context`: name to value as typed, with directories absolute. */
  readonly namedContexts: ReadonlyMap<string, string>;
  readonly noCache: boolean;
  readonly noCacheStages: readonly string[];
  readonly pull: boolean;
  readonly network?: 'default' | 'none' | 'host';
  /** The network of steps is recorded, or nothing but what was recorded, whatever the Dockerfile says of single ones. */
  readonly recordNetwork?: 'record' | 'locked';
  /** Of RUN steps. */
  readonly hostname?: string;
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  /** Bytes. */
  readonly shmSize?: number;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** Processes and threads that a step may have at a time; 0 for no limit. Default 2048. No part of any cache key. */
  readonly processLimit?: number;
  /** What a step may use of the machine, where the Dockerfile sets nothing else for it. No part of any cache key. */
  readonly resources?: ResourceLimits;
  readonly entitlements: ReadonlySet<string>;
  /** Devices of the machine that steps may have. */
  readonly devices: DeviceGrants;
  readonly secrets: ReadonlyMap<string, SecretSource>;
  /** SSH id to absolute paths: the socket of an agent, or files with private keys. */
  readonly ssh: ReadonlyMap<string, readonly string[]>;
  /** Seconds since the epoch that times in the image are set to. */
  readonly sourceDateEpoch?: number;
  /** Caches of other machines to look into, the first one first. */
  readonly cacheFrom: readonly CacheImport[];
  /** Where the cache of this build goes, when its results are out. */
  readonly cacheTo: readonly CacheExport[];
  /**
   * One digest wherever it is built: times from the commit of the context, or else from the base image, permissions as git knows them,
   * times of files in new layers no later.
   */
  readonly reproducible?: boolean;
  /** `auto`: what git tracks of a local directory has permissions as git knows them. Default: as the files have them. */
  readonly contextPerms?: 'auto' | 'preserve';
  /** Milliseconds that the whole build may take. Default: no limit. */
  readonly timeoutMs?: number;
  /** Milliseconds that a RUN step may take, where the Dockerfile sets no other limit for it. No part of any cache key. */
  readonly stepTimeoutMs?: number;
  /** Looks into steps, before they run or when they have failed. */
  readonly visitor?: StepVisitor;
  /** Steps that may run at a time. */
  readonly jobs: number;
  /** The lock file; absent: none is looked for. */
  readonly lock?: {
    /** Absolute. */
    readonly path: string;
    /** Somebody asked for this file, so that it must be there unless it is to be written. */
    readonly named: boolean;
    readonly policy: PinPolicy;
  };
  /** What sources may be used, and which others in their place: all of them hold. */
  readonly sourcePolicies: readonly SourcePolicy[];
  /** An event tells for each step why it ran or did not. */
  readonly explain?: boolean;
  /** Warnings about what BuildKit does silently are errors. */
  readonly strict: boolean;
}

/** Platforms and defaults of an empty request, for callers that fill in little. */
export const emptyRequest: Omit<BuildRequest, 'contextDir'> = {
  platforms: [],
  buildArgs: new Map(),
  labels: new Map(),
  namedContexts: new Map(),
  noCache: false,
  noCacheStages: [],
  pull: false,
  extraHosts: [],
  ulimits: [],
  entitlements: new Set(),
  devices: noDevices,
  secrets: new Map(),
  ssh: new Map(),
  cacheFrom: [],
  cacheTo: [],
  sourcePolicies: [],
  jobs: 4,
  strict: false,
};
