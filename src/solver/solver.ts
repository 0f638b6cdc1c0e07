import type { Digest, Task } from '../util/index.ts';
import { TsbuildError } from '../util/index.ts';
import { Caches } from './caches.ts';
import { canceledError, SolveError } from './errors.ts';
import { Flight, FlightMap, gather, type Leftovers } from './flight.ts';
import { type EdgeNode, Graph, type Outcome, type VertexNode } from './graph.ts';
import { Keeper } from './keeper.ts';
import { executionKey } from './keys.ts';
import { Reporter } from './reporter.ts';
import { Scope, unneeded } from './scope.ts';
import { createSlots, type Slots } from './slots.ts';
import type { CacheMap, SolveOptions, Solver, SolverEdge, SolverVertex } from './types.ts';

/** Makes a solver for one build. */
export function createSolver<Op, R>(options: SolveOptions<Op, R>): Solver<Op, R> {
  return new PromiseSolver(options);
}

/**
 * Solves `edges` with a solver of their own.
 * @see Solver.solve
 */
export async function solve<Op, R>(
  task: Task,
  edges: readonly SolverEdge<Op>[],
  options: SolveOptions<Op, R>,
): Promise<readonly R[]> {
  return createSolver(options).solve(task, edges);
}

/** What running a vertex gave, by output. Vertices with the same execution key share it. */
interface Execution<Op, R> {
  readonly owner: VertexNode<Op, R>;
  readonly outcomes: ReadonlyMap<number, Outcome<R>>;
}

/**
 * Each edge goes through three flights: `keys` (definition keys, nothing is executed), `deepKeys` (content keys, for which inputs
 * are completed where need be) and `result` (a record, or executing). Who wants something joins a flight with a scope; when
 * nobody wants it any more, it stops. Flights wait only for flights of inputs, and nobody holds a slot or lock while waiting for a
 * flight, so they cannot wait in a circle.
 */
class PromiseSolver<Op, R> implements Solver<Op, R> {
  readonly #options: SolveOptions<Op, R>;
  readonly #leftovers: Leftovers = new Set();
  readonly #reporter: Reporter<Op, R>;
  readonly #caches: Caches<Op, R>;
  readonly #keeper: Keeper<Op, R>;
  readonly #graph: Graph<Op, R>;
  readonly #loads: FlightMap<R>;
  readonly #executions: FlightMap<Execution<Op, R>>;
  readonly #slots: Slots;
  readonly #sourceSlots: Slots;

  constructor(options: SolveOptions<Op, R>) {
    this.#options = options;
    this.#reporter = new Reporter(options.now);
    this.#caches = new Caches(options.caches, (message) => {
      this.#reporter.warn(message);
    });
    this.#keeper = new Keeper(this.#caches);
    this.#loads = new FlightMap(this.#leftovers);
    this.#executions = new FlightMap(this.#leftovers);
    this.#slots = createSlots(options.concurrency);
    this.#sourceSlots = createSlots(options.sourceConcurrency ?? Math.max(4, options.concurrency));
    this.#graph = new Graph<Op, R>({
      vertex: (vertex, key, index, inputs) => this.#newVertex(vertex, key, index, inputs),
      edge: (vertex, output) => this.#newEdge(vertex, output),
    });
  }

  async solve(task: Task, targets: readonly SolverEdge<Op>[]): Promise<readonly R[]> {
    if (task.signal.aborted) throw canceledError(task.signal.reason);
    const { edges, vertices } = this.#graph.add(targets);
    using _session = this.#reporter.open({
      events: task.events,
      vertices: new Set(vertices.map(({ key }) => key)),
    });
    for (const vertex of vertices) this.#reporter.pending(vertex);
    const scope = new Scope();
    const onAbort = (): void => {
      scope.abort(task.signal.reason);
    };
    task.signal.addEventListener('abort', onAbort, { once: true });
    try {
      // Inputs first, so that no flight starts another: deep graphs would overflow the stack.
      for (const vertex of vertices) {
        for (const edge of vertex.edges.values()) edge.keys.join(scope).catch(() => undefined);
      }
      const wanted = edges.map((edge) => edge.result.join(scope));
      const outcomes = await gather(wanted, this.#options.keepGoing);
      return outcomes.map(({ result }) => result);
    } catch (error) {
      throw error instanceof SolveError || !task.signal.aborted ? error : canceledError(task.signal.reason);
    } finally {
      task.signal.removeEventListener('abort', onAbort);
      scope.abort(unneeded());
      while (this.#leftovers.size > 0) await Promise.all(this.#leftovers);
      for (const vertex of vertices) if (vertex.state === 'loading') this.#reporter.canceled(vertex);
    }
  }

  keys({ vertex, output }: SolverEdge<Op>): readonly string[] {
    return [...(this.#graph.find(vertex)?.edges.get(output)?.saved ?? [])];
  }

  #newVertex(
    vertex: SolverVertex<Op>,
    key: string,
    index: number,
    inputs: readonly EdgeNode<Op, R>[],
  ): VertexNode<Op, R> {
    const node: VertexNode<Op, R> = {
      key,
      vertex,
      index,
      inputs,
      edges: new Map(),
      cacheMap: this.#flight((scope) => this.#cacheMap(node, scope)),
      contents: inputs.map((input, at) => this.#flight((scope) => this.#content(node, input, at, scope))),
      contentDigests: inputs.map(() => undefined),
      map: undefined,
      digests: [],
      alternatives: undefined,
      nextAlternative: undefined,
      state: 'new',
      open: 0,
    };
    return node;
  }

  #newEdge(vertex: VertexNode<Op, R>, output: number): EdgeNode<Op, R> {
    const { sources } = this.#caches;
    const edge: EdgeNode<Op, R> = {
      vertex,
      output,
      keys: this.#flight((scope) => this.#keys(edge, scope)),
      deepKeys: this.#flight((scope) => this.#deepKeys(edge, scope)),
      result: this.#flight((scope) => this.#result(edge, scope)),
      looked: Promise.withResolvers(),
      exhausted: false,
      lookedDeep: false,
      nodes: sources.map(() => new Set()),
      reached: sources.map(() => vertex.inputs.map(() => ({ nodes: new Set(), links: 0 }))),
      candidates: [],
      loading: false,
      complete: false,
      seen: new Set(),
      saved: new Set(),
      consumers: 0,
      settled: false,
    };
    return edge;
  }

  #flight<T>(work: (scope: Scope) => Promise<T>): Flight<T> {
    return new Flight(work, this.#leftovers);
  }

  async #cacheMap(node: VertexNode<Op, R>, scope: Scope): Promise<CacheMap<R>> {
    try {
      const map = await this.#options.runner.cacheMap(this.#reporter.task(node, scope), node.vertex);
      if (map.deps.length !== node.inputs.length) {
        throw new TsbuildError(
          'TSB_INTERNAL',
          `Cannot key "${node.vertex.name}": its inputs and their keys differ in number`,
        );
      }
      node.map = map;
      node.digests.push(map.digest);
      return map;
    } catch (error) {
      throw this.#failed(node, scope, error);
    }
  }

  /** The error to reject with. Tells of a failure, unless the vertex was stopped. */
  #failed(node: VertexNode<Op, R>, scope: Scope, error: unknown): unknown {
    if (scope.aborted) return scope.reason;
    this.#reporter.failed(node, error);
    return new SolveError(node.vertex.digest, node.vertex.name, error);
  }

  async #keys(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    const inputs = edge.vertex.inputs.map((input) => input.keys.join(scope));
    await Promise.all([edge.vertex.cacheMap.join(scope), ...inputs]);
    await this.#caches.search(edge);
  }

  async #deepKeys(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    await edge.keys.join(scope);
    const unfinished = this.#over(edge) ? [] : await this.#lookDeep(edge, scope);
    edge.looked.resolve();
    // Nothing was found: what was begun to find something will be needed to execute, and goes on as long as somebody waits.
    if (!this.#over(edge) || edge.exhausted) await Promise.allSettled(unfinished);
  }

  /**
   * Looks for more keys in two phases: first through the inputs that no cached result reads so far, then through the others. What
   * has a definition key that leads somewhere is not loaded just to be hashed while there is hope that this key suffices.
   * @returns what was begun and has not ended when the answer was clear
   */
  async #lookDeep(edge: EdgeNode<Op, R>, scope: Scope): Promise<Promise<void>[]> {
    edge.lookedDeep = true;
    await this.#alternatives(edge, scope);
    if (this.#blind(edge.vertex)) edge.exhausted = true;
    const all = edge.vertex.inputs.map((_, at) => at);
    const missing = all.filter((at) => !this.#caches.matches(edge, at));
    const rest = all.filter((at) => !missing.includes(at));
    const byContent = all.filter((at) => edge.vertex.map?.deps[at]?.contentDigest !== undefined);
    const begun: Promise<void>[] = [];
    const wave = async (inputs: readonly number[], look: (at: number) => Promise<void>): Promise<void> => {
      if (this.#over(edge)) return;
      const clear = Promise.withResolvers<void>();
      const looks = inputs.map(async (at) => {
        await look(at);
        if (this.#over(edge)) clear.resolve();
      });
      begun.push(...looks);
      await Promise.race([Promise.all(looks), clear.promise]);
    };
    const moreKeys = async (at: number): Promise<void> => {
      const input = edge.vertex.inputs[at];
      if (input === undefined) return;
      const looking = input.deepKeys.join(scope);
      begun.push(looking);
      await Promise.race([looking, input.looked.promise]);
      await this.#caches.search(edge);
    };
    await wave(missing, async (at) => {
      await moreKeys(at);
      if (!this.#over(edge) && !this.#caches.matches(edge, at)) await this.#contentKey(edge, at, scope);
    });
    await wave(rest, moreKeys);
    await wave(byContent, async (at) => this.#contentKey(edge, at, scope));
    return begun;
  }

  /** Nothing more is to be looked for. */
  #over(edge: EdgeNode<Op, R>): boolean {
    return edge.exhausted || edge.loading || edge.complete || edge.candidates.length > 0;
  }

  /** There is nothing to look for. */
  #blind({ vertex, map }: VertexNode<Op, R>): boolean {
    return this.#caches.sources.length === 0 || vertex.ignoreCache || map?.volatile === true;
  }

  async #contentKey(edge: EdgeNode<Op, R>, at: number, scope: Scope): Promise<void> {
    if (edge.vertex.map?.deps[at]?.contentDigest !== undefined) {
      await edge.vertex.contents[at]?.join(scope);
      await this.#caches.search(edge);
    }
    if (edge.candidates.length === 0 && !this.#caches.matches(edge, at)) edge.exhausted = true;
  }

  /** Waits for the deep keys of an edge, or for the insight that there are none without completing all its inputs. */
  async #look(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    await Promise.race([edge.deepKeys.join(scope), edge.looked.promise]);
  }

  /** Asks for further identities of the op until a record is found; a vertex that ignores the cache needs all, to save under. */
  async #alternatives(edge: EdgeNode<Op, R>, scope: Scope): Promise<void> {
    const { vertex } = edge;
    let tried = 1;
    while (edge.candidates.length === 0) {
      scope.throwIfAborted();
      if (tried >= vertex.digests.length && !(await this.#nextAlternative(vertex))) return;
      tried = vertex.digests.length;
      await this.#caches.search(edge);
    }
  }

  async #nextAlternative(node: VertexNode<Op, R>): Promise<boolean> {
    const make = node.map?.alternatives;
    if (make === undefined) return false;
    node.alternatives ??= make()[Symbol.asyncIterator]();
    const { alternatives } = node;
    node.nextAlternative ??= (async () => {
      try {
        const next = await alternatives.next();
        if (next.done === true) return false;
        node.digests.push(next.value);
        node.nextAlternative = undefined;
        return true;
      } catch {
        return false; // no further identity; executing the op tells what is wrong
      }
    })();
    return node.nextAlternative;
  }

  /** Content key of what a vertex reads from an input. */
  async #content(
    node: VertexNode<Op, R>,
    input: EdgeNode<Op, R>,
    at: number,
    scope: Scope,
  ): Promise<Digest | undefined> {
    const { result } = await input.result.join(scope);
    const compute = node.map?.deps[at]?.contentDigest;
    if (compute === undefined) return undefined;
    try {
      const digest = await compute(this.#reporter.task(node, scope), result);
      node.contentDigests[at] = digest;
      return digest;
    } catch {
      scope.throwIfAborted();
      return undefined;
    }
  }

  async #result(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R>> {
    const outcome = await this.#find(edge, scope);
    edge.complete = true;
    this.#reporter.settled(edge);
    return outcome;
  }

  async #find(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R>> {
    const { vertex } = edge;
    await edge.keys.join(scope);
    let outcome = await this.#load(edge, scope);
    if (outcome !== undefined) return outcome;
    await this.#look(edge, scope);
    outcome = await this.#load(edge, scope);
    if (outcome !== undefined) return outcome;
    if (!edge.lookedDeep) {
      // There were records, which made looking further pointless, but none could be loaded.
      void (await this.#lookDeep(edge, scope));
      outcome = await this.#load(edge, scope);
      if (outcome !== undefined) return outcome;
    }
    const { keepGoing } = this.#options;
    const inputs = await gather(
      vertex.inputs.map((input) => input.result.join(scope)),
      keepGoing,
    );
    await this.#caches.search(edge);
    outcome = await this.#load(edge, scope);
    if (outcome !== undefined) return outcome;
    if (this.#caches.sources.length > 0) {
      await Promise.all(vertex.contents.map((content) => content.join(scope)));
      await this.#caches.search(edge);
      outcome = await this.#load(edge, scope);
      if (outcome !== undefined) return outcome;
    }
    return this.#execution(edge, inputs, scope);
  }

  /** The first candidate that can be loaded; those that cannot are dropped. */
  async #load(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R> | undefined> {
    edge.loading = true;
    try {
      return await this.#loadNext(edge, scope);
    } finally {
      edge.loading = false;
    }
  }

  async #loadNext(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R> | undefined> {
    for (let next = edge.candidates.shift(); next !== undefined; next = edge.candidates.shift()) {
      const candidate = next;
      const { source, record } = candidate;
      const load = this.#loads.get(this.#caches.resultId(source, record.id), async (scope) => {
        const cache = this.#caches.sources[source];
        if (cache === undefined) throw new TsbuildError('TSB_INTERNAL', `Cannot find cache ${source}`);
        try {
          return await cache.load(this.#reporter.task(edge.vertex, scope), record);
        } catch (error) {
          if (!scope.aborted) this.#caches.drop(source, record);
          throw error;
        }
      });
      let result: R;
      try {
        result = await load.join(scope);
      } catch {
        scope.throwIfAborted();
        continue;
      }
      const id = await this.#keeper.adopt(edge, candidate, result);
      edge.complete = true;
      return { result, id };
    }
    return undefined;
  }

  /** Executes, together with all vertices that come to the same. */
  async #execution(edge: EdgeNode<Op, R>, inputs: readonly Outcome<R>[], scope: Scope): Promise<Outcome<R>> {
    const { vertex, output } = edge;
    const key = this.#executionKey(vertex, inputs);
    let execution = await this.#executions
      .get(key, (scope) => this.#execute(vertex, key, inputs, true, scope))
      .join(scope);
    if (!execution.outcomes.has(output)) {
      // Another process had the outputs that a twin of this vertex needs, but not this one.
      execution = await this.#executions
        .get(`${key} in full`, (scope) => this.#execute(vertex, key, inputs, false, scope))
        .join(scope);
    }
    const outcome = execution.outcomes.get(output);
    if (outcome === undefined) {
      const fault = new TsbuildError(
        'TSB_INTERNAL',
        `Cannot use output ${output} of "${vertex.vertex.name}": it has none`,
      );
      throw this.#failed(vertex, scope, fault);
    }
    if (execution.owner !== vertex) {
      const saved = await this.#keeper.save(edge, outcome.result, execution.owner.edges.has(output));
      if (saved !== undefined) this.#keeper.same(saved, outcome.id);
    }
    return outcome;
  }

  #executionKey(vertex: VertexNode<Op, R>, inputs: readonly Outcome<R>[]): string {
    const [op = vertex.vertex.digest] = vertex.digests;
    const identities = inputs.map(({ id }, at) => ({
      content: vertex.contentDigests[at],
      selector: vertex.map?.deps[at]?.selector,
      result: id,
    }));
    return executionKey(op, identities, vertex.vertex.ignoreCache);
  }

  async #execute(
    vertex: VertexNode<Op, R>,
    key: string,
    inputs: readonly Outcome<R>[],
    mayLoad: boolean,
    scope: Scope,
  ): Promise<Execution<Op, R>> {
    const task = this.#reporter.task(vertex, scope);
    const { exclusive, runner } = this.#options;
    try {
      await using lock = vertex.map?.volatile ? undefined : await exclusive?.(task, key);
      if (lock !== undefined && mayLoad) {
        const outcomes = await this.#loadAll(vertex, scope);
        if (outcomes !== undefined) return { owner: vertex, outcomes };
      }
      const slots = runner.isSource?.(vertex.vertex) === true ? this.#sourceSlots : this.#slots;
      const results = await slots(scope, async () => {
        this.#reporter.started(vertex);
        return runner.exec(
          task,
          vertex.vertex,
          inputs.map(({ result }) => result),
        );
      });
      const outcomes = await this.#saveAll(vertex, key, results);
      this.#reporter.done(vertex);
      return { owner: vertex, outcomes };
    } catch (error) {
      if (scope.aborted) this.#reporter.canceled(vertex);
      throw this.#failed(vertex, scope, error);
    }
  }

  /** What another process has saved while this one waited for its turn; undefined unless that is all that is needed. */
  async #loadAll(vertex: VertexNode<Op, R>, scope: Scope): Promise<Map<number, Outcome<R>> | undefined> {
    const outcomes = new Map<number, Outcome<R>>();
    for (const edge of vertex.edges.values()) {
      await this.#caches.search(edge, true);
      const outcome = await this.#load(edge, scope);
      if (outcome === undefined) return undefined;
      outcomes.set(edge.output, outcome);
    }
    return outcomes;
  }

  async #saveAll(vertex: VertexNode<Op, R>, key: string, results: readonly R[]): Promise<Map<number, Outcome<R>>> {
    const outcomes = new Map<number, Outcome<R>>();
    for (const [output, result] of results.entries()) {
      const edge = vertex.edges.get(output);
      const saved = edge === undefined ? undefined : await this.#keeper.save(edge, result);
      outcomes.set(output, { result, id: saved ?? `run/${key}/${output}` });
    }
    return outcomes;
  }
}
