import { DEFAULT_PROCESS_LIMIT, Emulation } from '../../sandbox/index.ts';
import { StatCache } from '../../cache/index.ts';
import { type Definition, type LlbVertex, loadGraph, type Op, type SourceOp } from '../../llb/index.ts';
import {
  type CacheSource,
  createSolver,
  type KnownEdge,
  type NamedCache,
  type Solver,
  type SolverEdge,
  type VertexAccount,
} from '../../solver/index.ts';
import { MAX_DOCKERFILE_BYTES, TIMEOUT_KEY } from '../../frontend/index.ts';
import { trackedModes } from '../../source/index.ts';
import { ContextTree } from '../../tree/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { scratchDir } from '../scratch.ts';
import type { BridgeNames } from './bridge.ts';
import {
  type BaseSummaries,
  type Credentials,
  createRunner,
  lockShown,
  type MountTravel,
  gitCommit,
  gitTime,
  httpFile,
  httpTime,
  type LocalResult,
  MovedMounts,
  type OpPieces,
  type OpResult,
  type PackingPlan,
  type PreparedContainer,
  prepareContainer,
  type RecordedSteps,
  StepDevices,
} from '../../ops/index.ts';
import type { CompiledGraphs, PlatformGraph } from '../compiled.ts';
import { followPaths } from './follow-paths.ts';
import { hostIgnore } from './host-ignore.ts';
import { blobFetcher, imageResolver } from './image-origins.ts';
import { Notes } from '../notes.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { beforeNetwork } from './before-network.ts';
import { limitsOfSteps } from './step-limits.ts';

/** What became of a vertex. */
export type SolvedVertex = VertexAccount;

/** A cache of another machine. */
export type ForeignCache = CacheSource<OpResult> | NamedCache<OpResult>;

/** What a source stands for. */
export type SourceNow =
  | { readonly kind: 'git'; readonly commit: Awaited<ReturnType<typeof gitCommit>> }
  | ({ readonly kind: 'http' } & Awaited<ReturnType<typeof httpFile>>);

/** Solves the graphs of one request: the final ones, and those that only tell what is in a remote context. */
export class RequestSolver {
  /** What steps read. */
  readonly notes: Notes = new Notes();
  readonly #session: Session;
  readonly #request: BuildRequest;
  readonly #pieces: OpPieces;
  readonly #locals: LocalSources;
  readonly #imports: Promise<readonly ForeignCache[]>;
  /** Told of each edge that has its result. */
  onResult: ((edge: KnownEdge<OpResult>) => void) | undefined;
  /** Cache mounts of other machines; set before anything is solved. */
  travel: MountTravel | undefined;
  /** Networks of steps that are recorded; set before anything is solved. */
  recorded: RecordedSteps | undefined;
  /** Summaries of base images; set before anything is solved. */
  summaries: BaseSummaries | undefined;
  #solver: Promise<Solver<Op, OpResult>> | undefined;

  /**
   * @param imports caches besides the store's own, which solving waits for
   * @param isForeign graphs come from another program than the Dockerfile frontend here: all that they say of sources holds
   */
  constructor(
    session: Session,
    task: Task,
    request: BuildRequest,
    names: BridgeNames,
    credentials: Credentials,
    imports: Promise<readonly ForeignCache[]> = Promise.resolve([]),
    isForeign: boolean = request.definition !== undefined,
  ) {
    this.#session = session;
    this.#request = request;
    this.#imports = imports;
    this.#locals = new LocalSources(session, names, request, isForeign);
    const pieces = opPieces(session, task, request, names, credentials, this.#locals, this.notes);
    this.#pieces = { ...pieces, travel: () => this.travel };
  }

  /** Made once: what was found out for a remote context holds for the build. */
  #open(): Promise<Solver<Op, OpResult>> {
    return (this.#solver ??= this.#create());
  }

  async #create(): Promise<Solver<Op, OpResult>> {
    const imports = await this.#imports;
    return createSolver<Op, OpResult>({
      runner: createRunner(this.#pieces),
      caches: [this.#session.cache, ...imports],
      concurrency: this.#request.jobs,
      onResult: (edge) => this.onResult?.(edge),
      now: this.#session.now,
      exclusive: (inner, key) => lockShown(this.#session.store, inner, key, 'turns'),
    });
  }

  /** Forgets what was solved: a cache that it came from turned out to be damaged. */
  reset(): void {
    this.#solver = undefined;
  }

  /** What became of vertices; undefined when nothing was solved, or for those of other graphs. */
  async account(): Promise<((vertex: LlbVertex) => VertexAccount | undefined) | undefined> {
    const solver = await this.#solver;
    return solver && ((vertex) => solver.account(vertex));
  }

  /** What is known of the graphs of platforms, inputs first, for cache export. */
  async known(task: Task, platforms: readonly PlatformGraph[]): Promise<readonly KnownEdge<OpResult>[]> {
    const edges = platforms.flatMap(({ graph }): SolverEdge<Op>[] => (graph.result ? [graph.result] : []));
    return (await this.#open()).known(task, edges);
  }

  /**
   * Solves the graphs of all platforms together and gives the layer ids of each result, bottom first.
   * @param plan which layers will be wanted as blobs
   * @throws SolveError, TsbuildError
   */
  async solve(
    task: Task,
    compiled: CompiledGraphs,
    plan: PackingPlan | undefined,
  ): Promise<readonly (readonly string[])[]> {
    const edges = compiled.platforms.map(({ graph }): SolverEdge<Op> | undefined => graph.result);
    const solved = await (
      await this.#open()
    ).solve(
      task,
      edges.filter((edge) => edge !== undefined),
      createRunner(
        {
          ...this.#pieces,
          recorded: this.recorded,
          summaries: this.summaries,
          beforeNetwork: beforeNetwork(compiled),
          timeLimit: timeLimits(compiled, this.#request),
          limits: { of: limitsOfSteps(compiled, this.#request), limiter: this.#session.limiter },
        },
        plan,
      ),
    );
    this.#locals.save();
    let next = 0;
    return edges.map((edge) => {
      if (edge === undefined) return [];
      const result = solved[next++];
      if (result?.kind !== 'layers')
        throw new TsbuildError(
          'TSB_LLB',
          'Cannot export the build: its result is a local directory and not a file tree',
        );
      return result.layers;
    });
  }

  /**
   * A file of what a definition makes; undefined when it does not exist.
   * @param limit only so many bytes from its start
   */
  async readFile(
    task: Task,
    definition: Definition,
    path: string,
    limit: number | undefined,
  ): Promise<Uint8Array | undefined> {
    const edge = loadGraph(definition).result;
    if (edge === undefined) return undefined;
    const result = await this.result(task, edge);
    if (result.kind !== 'layers')
      throw new TsbuildError('TSB_LLB', `Cannot read "${path}": it is looked for in a local directory`);
    const layers = await this.#session.layers.directories(task, result.layers);
    const worker = await this.#session.worker();
    return worker.call(
      'readFile',
      { layers, path, maxBytes: MAX_DOCKERFILE_BYTES, ...(limit === undefined ? {} : { limit }) },
      { signal: task.signal },
    );
  }

  /**
   * What an edge of any graph comes to, before the final graph is known.
   * @throws TsbuildError `TSB_STEP` for a step with a network where those are recorded: of this one, nobody would write anything down
   */
  async result(task: Task, edge: SolverEdge<Op>): Promise<OpResult> {
    const { recordNetwork } = this.#request;
    if (recordNetwork !== undefined && hasNetwork(edge.vertex))
      throw new TsbuildError(
        'TSB_STEP',
        'Cannot run a step before the graph is known: its network would not be recorded, as that of others of this build is',
        {
          hint: `let the frontend ask for no results of steps with a network, or build without --network=${recordNetwork}`,
        },
      );
    const [result] = await (await this.#open()).solve(task, [edge]);
    if (result === undefined) throw new TsbuildError('TSB_INTERNAL', 'An edge was solved, and has no result');
    return result;
  }

  /**
   * A sandbox as steps of this request have it, on results that were solved.
   * @param held gets what is to be given back at its end
   * @throws TsbuildError as a step would, before it runs
   */
  async container(
    task: Task,
    held: AsyncDisposableStack,
    container: Parameters<typeof prepareContainer>[3],
    inputs: readonly OpResult[],
  ): Promise<PreparedContainer> {
    return prepareContainer(this.#pieces, task, held, container, inputs);
  }

  /** What a git or web source stands for now. @throws TsbuildError */
  async sourceNow(task: Task, vertex: Digest, source: SourceOp): Promise<SourceNow> {
    if (source.identifier.startsWith('git://'))
      return { kind: 'git', commit: await gitCommit(this.#pieces, task, vertex, source) };
    return { kind: 'http', ...(await httpFile(this.#pieces, task, vertex, source)) };
  }

  /** When the content of the definition's only source was made, in seconds since the epoch. */
  async sourceTime(task: Task, definition: Definition): Promise<number | undefined> {
    for (const { op, digest } of loadGraph(definition).vertices) {
      const source = op.body;
      if (source?.kind === 'source') return this.#timeOf(task, digest, source);
    }
    return undefined;
  }

  async #timeOf(task: Task, vertex: Digest, source: SourceOp): Promise<number | undefined> {
    if (source.identifier.startsWith('git://')) return gitTime(this.#pieces, task, vertex, source);
    return httpTime(this.#pieces, task, vertex, source);
  }
}

/** Whether a step that a vertex stands on, or is, has a network. */
function hasNetwork(vertex: SolverEdge<Op>['vertex']): boolean {
  const seen = new Set<SolverEdge<Op>['vertex']>();
  const waiting = [vertex];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const { body } = next.op;
    if (body?.kind === 'exec' && body.network !== 'none') return true;
    waiting.push(...next.inputs.map((input) => input.vertex));
  }
  return false;
}

/** What ops need of this build, by the names under which runners ask for it. */
function opPieces(
  session: Session,
  task: Task,
  request: BuildRequest,
  names: BridgeNames,
  credentials: Credentials,
  locals: LocalSources,
  notes: Notes,
): Omit<OpPieces, 'travel'> {
  const { store, lease, layers, remote, now } = session;
  const warn = (message: string): void =>
    task.events({
      type: 'diagnostic',
      diagnostic: { code: 'Build', severity: 'warning', message, ranges: [] },
      at: now(),
    });
  const moved = new MovedMounts();
  return {
    snapshots: {
      store,
      lease,
      layers,
      worker: () => session.worker(),
      movedMounts: async () => ((await session.plan()).how === 'none' ? moved : undefined),
    },
    origins: {
      image: imageResolver(session, names, request),
      blob: blobFetcher(session, names),
      local: (name, attrs) => locals.get(name, attrs),
      remote,
    },
    credentials,
    grants: {
      entitlements: request.entitlements,
      processLimit: request.processLimit ?? DEFAULT_PROCESS_LIMIT,
      devices: new StepDevices(request.devices, () => session.devices()),
    },
    emulation: new Emulation({ scratchDir: () => scratchDir(session) }),
    timeLimit: () => request.stepTimeoutMs,
    limits: { of: () => request.resources ?? {}, limiter: session.limiter },
    ...(request.visitor === undefined ? {} : { visitor: request.visitor }),
    report: { build: task, now, warn, notes },
  };
}

/** What the graphs say of single steps, else what was asked for all of them. */
function timeLimits({ platforms }: CompiledGraphs, { stepTimeoutMs }: BuildRequest): OpPieces['timeLimit'] {
  const own = new Map<Digest, number>();
  for (const { digest, metadata } of platforms.flatMap(({ graph }) => graph.vertices)) {
    const ms = Number(metadata.description.get(TIMEOUT_KEY));
    if (Number.isSafeInteger(ms) && ms > 0) own.set(digest, ms);
  }
  return (vertex) => own.get(vertex) ?? stepTimeoutMs;
}

/** Each local directory is walked once a build, whatever filters the ops name it with. */
class LocalSources {
  readonly #session: Session;
  readonly #names: BridgeNames;
  readonly #request: BuildRequest;
  readonly #isForeign: boolean;
  /** Seconds since the epoch: the time of files whose own depends on when they were checked out. */
  readonly #time: number | undefined;
  readonly #known = new Map<string, LocalResult>();
  readonly #stats: StatCache[] = [];

  constructor(session: Session, names: BridgeNames, request: BuildRequest, isForeign: boolean) {
    this.#session = session;
    this.#names = names;
    this.#request = request;
    this.#isForeign = isForeign;
    // The present, so that it counts as a time of this build: see `ImageTimes`.
    this.#time = request.reproducible ? Math.floor(session.now() / 1000) : undefined;
  }

  get(name: string, attrs: ReadonlyMap<string, string>): LocalResult {
    const excludes = attrs.get('local.excludepatterns') ?? '';
    const includes = attrs.get('local.includepattern') ?? '';
    // The Dockerfile frontend asks for no more than its own steps read; in other graphs the paths say what the source is.
    const follows = this.#isForeign ? (attrs.get('local.followpaths') ?? '') : '';
    const key = JSON.stringify([name, excludes, includes, follows]);
    const known = this.#known.get(key);
    if (known) return known;
    const dir = this.#names.locals.get(name);
    if (dir === undefined)
      throw new TsbuildError(
        'TSB_CONTEXT',
        `Cannot read local directory ${JSON.stringify(name)}: the build was not given one of that name`,
        this.#request.definition === undefined ? {} : { hint: `solve with --local ${name}=DIR` },
      );
    const stats = StatCache.open(this.#session.store, dir);
    this.#stats.push(stats);
    const followed =
      follows === '' ? [] : followPaths(ContextTree.open(dir, { xattrs: false }), parsePatterns(follows));
    const ignore = hostIgnore(parsePatterns(excludes), [...parsePatterns(includes), ...followed]);
    const modes = this.#request.contextPerms === 'auto' ? trackedModes(dir, this.#time) : undefined;
    const tree = ContextTree.open(dir, {
      stats,
      ...(ignore === undefined ? {} : { ignore }),
      ...(modes === undefined ? {} : { modes }),
    });
    this.#session.witness.tree(dir, tree);
    const result: LocalResult = { kind: 'local', tree };
    this.#known.set(key, result);
    return result;
  }

  /** Keeps what was learned of files for the next build. */
  save(): void {
    for (const stats of this.#stats) {
      if (stats.hasLearned) this.#session.witness.news();
      stats.save();
    }
  }
}

/** Lists of patterns stand in a graph as JSON. */
function parsePatterns(json: string): readonly string[] {
  if (json === '') return [];
  try {
    const value: unknown = JSON.parse(json);
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  } catch {
    // Said below.
  }
  throw new TsbuildError('TSB_LLB', 'Cannot use a local source: its patterns are not a list of strings');
}
