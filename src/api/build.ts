import { availableParallelism } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { type BuildOutcome, type BuildRequest, emptyRequest, runBuild } from '../engine/index.ts';
import { insecureHosts, type OutputSpec, parseOutput } from '../exporter/index.ts';
import { parsePlatform } from '../image/index.ts';
import { parseCacheFrom, parseCacheTo } from '../remote-cache/index.ts';
import type { SecretSource } from '../secrets/index.ts';
import { TsbuildError } from '../util/index.ts';
import { type CommonOptions, sessionFor, taskFor } from './session.ts';

/** A secret for `RUN --mount=type=secret`: its value, or a file that is read when a step needs it. */
export type Secret = string | { readonly file: string };

/** What is built, as the options of `tsbuild build` have it. Everything but `context` has the default of the command line. */
export interface BuildSource {
  /** Directory with the files that COPY and ADD read, git repository, or address of an archive. */
  readonly context: string;
  /** Path of the Dockerfile, relative to the working directory. Default: `Dockerfile` in the context. */
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
  /** SSH agents by id, for `RUN --mount=type=ssh` and git: the socket of an agent, or files with private keys. */
  readonly ssh?: Readonly<Record<string, readonly string[]>>;
  /** Run every step again, or those of some stages. */
  readonly noCache?: boolean | readonly string[];
  /** Ask registries for newer base images. */
  readonly pull?: boolean;
  /** Ask nobody: what the store and the lock file have must do. */
  readonly offline?: boolean;
  readonly network?: 'default' | 'none' | 'host';
  /** Lines for /etc/hosts of steps: addresses by name. */
  readonly extraHosts?: Readonly<Record<string, string>>;
  /** Bytes of /dev/shm in steps. */
  readonly shmSize?: number;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** What a Dockerfile may not do by itself. */
  readonly allow?: readonly ('network.host' | 'security.insecure')[];
  /** One digest wherever it is built. */
  readonly reproducible?: boolean;
  /** Seconds since the epoch, for the times in the image. */
  readonly sourceDateEpoch?: number;
  /** `tsbuild.lock`: which file (default: the one of the context, where there is one), and what it means for the build. */
  readonly lock?: {
    readonly file?: string;
    /** Nothing else than what it names is used. */
    readonly locked?: boolean;
    /** Look things up again and write it: all, or these. */
    readonly update?: true | readonly string[];
  };
  /** As `--cache-from` takes them. */
  readonly cacheFrom?: readonly string[];
  /** As `--cache-to` takes them. */
  readonly cacheTo?: readonly string[];
  /** Steps that may run at a time. */
  /** Milliseconds that the whole build may take. */
  readonly timeout?: number;
  /** Milliseconds that each RUN step may take. */
  readonly stepTimeout?: number;
  readonly jobs?: number;
  /** An event of type `reason` tells for each step why it ran or did not. */
  readonly explain?: boolean;
  /** Warnings about what BuildKit does silently are errors. */
  readonly strict?: boolean;
}

/** Options of `build`. */
export interface BuildOptions extends BuildSource, CommonOptions {
  /** Names of the image, in the local store or, with `push`, at its registry. */
  readonly tags?: readonly string[];
  /** As `--output` takes them. Default: the local image store, or with `push` the registry. */
  readonly outputs?: readonly string[];
  /** Push the image to the registries of its names. */
  readonly push?: boolean;
  /** Keep the image in the local store besides other outputs. */
  readonly load?: boolean;
}

/**
 * Builds an image from a Dockerfile.
 * @throws BuildFailure with the place in the Dockerfile, or another TsbuildError
 */
export async function build(options: BuildOptions): Promise<BuildOutcome> {
  const request = requestOf(options);
  const specs = outputsOf(options);
  await using session = sessionFor(options, {
    insecureHosts: insecureHosts(specs),
    ...(options.offline ? { offline: true } : {}),
  });
  return await runBuild(session, taskFor(options), request, { specs, stdout: process.stdout });
}

/** The outputs, as `-o`, `--push` and `--load` make them. @throws TsbuildError `TSB_USAGE` */
function outputsOf({ outputs = [], tags = [], push = false, load = false }: BuildOptions): readonly OutputSpec[] {
  const wanted = [...outputs];
  if (push && !wanted.some((text) => /^type=(image|registry)\b/.test(text))) wanted.push('type=registry');
  const parse = (text: string): OutputSpec => parseOutput(text, { cwd: process.cwd(), names: tags });
  const specs = wanted.map(parse);
  const stored = specs.some((spec) => spec.type === 'image' && spec.store);
  if (!stored && (load || (!push && (tags.length > 0 || specs.length === 0)))) specs.push(parse('type=image'));
  return specs;
}

/**
 * What is built, as the engine has it.
 * @throws TsbuildError `TSB_USAGE`
 */
export function requestOf(source: BuildSource): BuildRequest {
  const { context, file, noCache = false, target, network, shmSize, sourceDateEpoch } = source;
  const isRemote = /^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(context);
  const path = file === undefined || isRemote ? undefined : resolve(file);
  const lock = lockOf(source, isRemote ? undefined : resolve(context));
  return {
    ...emptyRequest,
    ...(isRemote ? { context: { kind: 'remote', url: context } } : { contextDir: resolve(context) }),
    ...(path === undefined ? {} : { dockerfile: { dir: dirname(path), name: basename(path) } }),
    ...(file !== undefined && isRemote ? { dockerfile: { inContext: file } } : {}),
    ...(target === undefined ? {} : { target }),
    platforms: (source.platforms ?? []).map((text) => parsePlatform(text)),
    buildArgs: new Map(Object.entries(source.buildArgs ?? {})),
    labels: new Map(Object.entries(source.labels ?? {})),
    namedContexts: new Map(Object.entries(source.buildContexts ?? {}).map(([name, value]) => [name, placeOf(value)])),
    secrets: new Map(Object.entries(source.secrets ?? {}).map(([id, secret]) => [id, secretOf(secret)])),
    ssh: new Map(Object.entries(source.ssh ?? {}).map(([id, paths]) => [id, paths.map((one) => resolve(one))])),
    noCache: noCache === true,
    noCacheStages: typeof noCache === 'boolean' ? [] : noCache,
    pull: source.pull ?? false,
    ...(network === undefined ? {} : { network }),
    extraHosts: Object.entries(source.extraHosts ?? {}).map(([host, ip]) => ({ host, ip })),
    ...(shmSize === undefined ? {} : { shmSize }),
    ulimits: source.ulimits ?? [],
    entitlements: new Set([...(source.allow ?? []), ...(network === 'host' ? ['network.host'] : [])]),
    ...(source.reproducible ? { reproducible: true } : {}),
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
    ...(lock === undefined ? {} : { lock }),
    cacheFrom: parseCacheFrom(process.cwd(), source.cacheFrom ?? [], process.env),
    cacheTo: parseCacheTo(process.cwd(), source.cacheTo ?? [], process.env),
    ...(source.timeout === undefined ? {} : { timeoutMs: source.timeout }),
    ...(source.stepTimeout === undefined ? {} : { stepTimeoutMs: source.stepTimeout }),
    jobs: source.jobs ?? Math.max(4, availableParallelism()),
    strict: source.strict ?? false,
    ...(source.explain ? { explain: true } : {}),
  };
}

function secretOf(secret: Secret): SecretSource {
  return typeof secret === 'string' ? { kind: 'value', value: secret } : { kind: 'file', path: resolve(secret.file) };
}

/** A directory becomes absolute; what has a scheme is what it is. */
function placeOf(value: string): string {
  const layout = /^oci-layout:\/\/(.*)$/.exec(value)?.[1];
  if (layout !== undefined) return `oci-layout://${resolve(layout)}`;
  return /^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(value) ? value : resolve(value);
}

function lockOf({ lock, offline, pull }: BuildSource, contextDir: string | undefined): BuildRequest['lock'] {
  const { file, locked = false, update } = lock ?? {};
  if (update !== undefined && (locked || offline))
    throw new TsbuildError('TSB_USAGE', `Cannot update a lock file with ${locked ? '"locked"' : '"offline"'}`);
  if (offline && pull) throw new TsbuildError('TSB_USAGE', 'Cannot use "offline" with "pull"');
  if (contextDir === undefined && lock === undefined) return undefined;
  const path = resolve(contextDir ?? '.', file === undefined ? 'tsbuild.lock' : resolve(file));
  const named = file !== undefined;
  if (update !== undefined)
    return { path, named, policy: { kind: 'update', ...(update === true ? {} : { names: update }) } };
  return { path, named, policy: { kind: locked ? 'locked' : 'use' } };
}
