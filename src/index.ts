import { availableParallelism, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BuildOutcome, emptyRequest, openSession, runBuild } from './engine/index.ts';
import { parseCacheFrom, parseCacheTo } from './remote-cache/index.ts';
import { insecureHosts, parseOutput } from './exporter/index.ts';
import { credentialPlaces } from './registry/index.ts';
import type { BuildEvent } from './events/index.ts';
import { parsePlatform } from './image/index.ts';

export type { BuildEvent, DiagnosticEvent, LogEvent, StatusEvent, VertexEvent } from './events/index.ts';
export type { Descriptor } from './image/index.ts';
export {
  type Diagnostic,
  type Digest,
  type ErrorCode,
  type SourceFile,
  type SourceRange,
  TsbuildError,
  version,
} from './util/index.ts';

/** What `build` is asked for. Everything but `context` has the default of the command line. */
export interface BuildOptions {
  /** Directory with the files that COPY and ADD read. */
  readonly context: string;
  /** Path of the Dockerfile, relative to the working directory. Default: `Dockerfile` in the context. */
  readonly file?: string;
  readonly target?: string;
  /** `os/arch[/variant]` each; more than one gives an index. */
  readonly platforms?: readonly string[];
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Names in the local image store. */
  readonly tags?: readonly string[];
  /** As `--output` takes them. Default: the local image store. */
  readonly outputs?: readonly string[];
  /** Run every step again. */
  readonly noCache?: boolean;
  /** As `--cache-from` takes them. */
  readonly cacheFrom?: readonly string[];
  /** As `--cache-to` takes them. */
  readonly cacheTo?: readonly string[];
  /** Ask registries for newer base images. */
  readonly pull?: boolean;
  /** Values of secrets by id. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Seconds since the epoch, for the times in the image. */
  readonly sourceDateEpoch?: number;
  /** The store's directory. Default: `$XDG_DATA_HOME/tsbuild` or `~/.local/share/tsbuild`. */
  readonly root?: string;
  readonly signal?: AbortSignal;
  /** Told everything that happens: steps, their output, progress of transfers, warnings. */
  readonly onEvent?: (event: BuildEvent) => void;
  /** Told about problems with the store or a registry that were worked around. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Builds an image from a Dockerfile.
 * @throws BuildFailure with the place in the Dockerfile, or another TsbuildError
 */
export async function build(options: BuildOptions): Promise<BuildOutcome> {
  const { context, signal = new AbortController().signal, tags = [], outputs = [] } = options;
  const wanted = outputs.length > 0 ? outputs : ['type=image'];
  const specs = wanted.map((text) => parseOutput(text, { cwd: process.cwd(), names: tags }));
  if (tags.length > 0 && !specs.some(({ type }) => type === 'image'))
    specs.push(parseOutput('type=image', { cwd: process.cwd(), names: tags }));
  const now = Date.now;
  await using session = openSession({
    root: options.root ?? join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'tsbuild'),
    now,
    signal,
    home: homedir(),
    credentialSources: credentialPlaces(process.env, { home: homedir(), uid: process.getuid?.() ?? 0 }),
    onWarning: options.onWarning ?? (() => undefined),
    insecureHosts: insecureHosts(specs),
  });
  const file = options.file === undefined ? undefined : resolve(options.file);
  return await runBuild(
    session,
    { signal, events: options.onEvent ?? (() => undefined) },
    {
      ...emptyRequest,
      contextDir: resolve(context),
      ...(file === undefined
        ? {}
        : { dockerfile: { dir: join(file, '..'), name: file.slice(file.lastIndexOf('/') + 1) } }),
      ...(options.target === undefined ? {} : { target: options.target }),
      platforms: (options.platforms ?? []).map((text) => parsePlatform(text)),
      buildArgs: new Map(Object.entries(options.buildArgs ?? {})),
      labels: new Map(Object.entries(options.labels ?? {})),
      secrets: new Map(Object.entries(options.secrets ?? {}).map(([id, value]) => [id, { kind: 'value', value }])),
      noCache: options.noCache ?? false,
      pull: options.pull ?? false,
      cacheFrom: parseCacheFrom(process.cwd(), options.cacheFrom ?? []),
      cacheTo: parseCacheTo(process.cwd(), options.cacheTo ?? []),
      jobs: Math.max(4, availableParallelism()),
      ...(options.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: options.sourceDateEpoch }),
    },
    { specs, stdout: process.stdout },
  );
}
