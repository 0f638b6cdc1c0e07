import { TsbuildError } from '../util/index.ts';
import type { Caches } from './caches.ts';
import { SolveError } from './errors.ts';
import { FlightMap, type Leftovers } from './flight.ts';
import type { EdgeNode, Outcome, VertexNode } from './graph.ts';
import type { Keeper } from './keeper.ts';
import { executionKey } from './keys.ts';
import type { Reporter } from './reporter.ts';
import type { Scope } from './scope.ts';
import { createSlots, type Slots } from './slots.ts';
import type { SolveOptions } from './types.ts';

/** What running a vertex gave, by output. Vertices with the same execution key share it. */
interface Execution<Op, R> {
  /** The vertex that ran; others have its outcome and stay silent. */
  readonly owner: VertexNode<Op, R>;
  readonly outcomes: ReadonlyMap<number, Outcome<R>>;
}

/** Gets results: from records, or by running ops. */
export class Executor<Op, R> {
  readonly #options: SolveOptions<Op, R>;
  readonly #reporter: Reporter<Op, R>;
  readonly #caches: Caches<Op, R>;
  readonly #keeper: Keeper<Op, R>;
  /** By record: edges that come to the same one load it together. */
  readonly #loads: FlightMap<R>;
  /** By execution key, so that twins and vertices that come to the same run once. */
  readonly #executions: FlightMap<Execution<Op, R>>;
  readonly #slots: Slots;
  /** Transfers wait for the network and not for CPUs, so they do not take the place of steps. */
  readonly #sourceSlots: Slots;

  constructor(
    options: SolveOptions<Op, R>,
    reporter: Reporter<Op, R>,
    caches: Caches<Op, R>,
    keeper: Keeper<Op, R>,
    leftovers: Leftovers,
  ) {
    this.#options = options;
    this.#reporter = reporter;
    this.#caches = caches;
    this.#keeper = keeper;
    this.#loads = new FlightMap(leftovers);
    this.#executions = new FlightMap(leftovers);
    this.#slots = createSlots(options.concurrency);
    this.#sourceSlots = createSlots(options.sourceConcurrency ?? Math.max(4, options.concurrency));
  }

  /** The first candidate that can be loaded; those that cannot are dropped. */
  async load(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R> | undefined> {
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
        // Given up, not tried: whoever comes next may load it.
        if (scope.aborted) edge.candidates.unshift(candidate);
        scope.throwIfAborted();
        continue;
      }
      const id = await this.#keeper.adopt(edge, candidate, result);
      edge.complete = true;
      edge.outcome = { result, id };
      edge.source = source;
      return edge.outcome;
    }
    return undefined;
  }

  /** Executes, together with all vertices that come to the same. */
  async run(edge: EdgeNode<Op, R>, inputs: readonly Outcome<R>[], scope: Scope): Promise<Outcome<R>> {
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
      throw failed(this.#reporter, vertex, scope, fault);
    }
    if (execution.owner !== vertex) {
      edge.executed = execution.owner.edges.get(output)?.executed ?? true;
      const saved = await this.#keeper.save(edge, outcome.result, execution.owner.edges.has(output));
      if (saved !== undefined) this.#keeper.same(saved, outcome.id);
    }
    return outcome;
  }

  #executionKey(vertex: VertexNode<Op, R>, inputs: readonly Outcome<R>[]): string {
    // The first identity only: others are ways to find results, not to name work.
    const [op = vertex.vertex.digest] = vertex.digests;
    const identities = inputs.map(({ id }, at) => ({
      content: vertex.contentDigests[at],
      selector: vertex.map?.deps[at]?.selector,
      result: id,
    }));
    return executionKey(op, identities, vertex.vertex.ignoreCache);
  }

  /**
   * Runs a vertex, holding the lock by which other processes on this store wait for it rather than do the same work.
   * @param mayLoad whether what such a process has saved meanwhile will do
   */
  async #execute(
    vertex: VertexNode<Op, R>,
    key: string,
    inputs: readonly Outcome<R>[],
    mayLoad: boolean,
    scope: Scope,
  ): Promise<Execution<Op, R>> {
    const task = this.#reporter.task(vertex, scope);
    const { exclusive } = this.#options;
    const { runner } = vertex;
    try {
      await using lock = this.#isShared(vertex) ? await exclusive?.(task, await this.#turn(vertex, key)) : undefined;
      if (lock !== undefined && mayLoad) {
        const outcomes = await this.#loadAll(vertex, scope);
        if (outcomes !== undefined) return { owner: vertex, outcomes };
      }
      // Only now: waiting for a lock or for inputs takes no slot, so vertices cannot wait for each other in a circle.
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
      throw failed(this.#reporter, vertex, scope, error);
    }
  }

  /** Whether what another process makes of a vertex would do. What is to run anew whatever is cached waits for nobody. */
  #isShared({ map, vertex }: VertexNode<Op, R>): boolean {
    return !map?.volatile && !vertex.ignoreCache;
  }

  /** Under what name this process waits for its turn. */
  async #turn(vertex: VertexNode<Op, R>, key: string): Promise<string> {
    return (await this.#keeper.place(vertex)) ?? key;
  }

  /** What another process has saved while this one waited for its turn; undefined unless that is all that is needed. */
  async #loadAll(vertex: VertexNode<Op, R>, scope: Scope): Promise<Map<number, Outcome<R>> | undefined> {
    const outcomes = new Map<number, Outcome<R>>();
    for (const edge of vertex.edges.values()) {
      await this.#caches.search(edge, { again: true });
      const outcome = await this.load(edge, scope);
      if (outcome === undefined) return undefined;
      outcomes.set(edge.output, outcome);
    }
    return outcomes;
  }

  /** Saves the outputs that somebody reads. All of them are outcomes, since twins of the vertex may read others. */
  async #saveAll(vertex: VertexNode<Op, R>, key: string, results: readonly R[]): Promise<Map<number, Outcome<R>>> {
    const outcomes = new Map<number, Outcome<R>>();
    for (const [output, result] of results.entries()) {
      const edge = vertex.edges.get(output);
      if (edge !== undefined) edge.executed = true;
      const saved = edge === undefined ? undefined : await this.#keeper.save(edge, result);
      // A result that cannot be saved is still one thing: whoever reads it shares executions by this id.
      outcomes.set(output, { result, id: saved ?? `run/${key}/${output}` });
    }
    return outcomes;
  }
}

/** The error to reject with for a vertex. Tells of the failure, unless the vertex was stopped. */
export function failed<Op, R>(
  reporter: Reporter<Op, R>,
  node: VertexNode<Op, R>,
  scope: Scope,
  error: unknown,
): unknown {
  if (scope.aborted) return scope.reason;
  reporter.failed(node, error);
  return new SolveError(node.vertex.digest, node.vertex.name, error);
}
