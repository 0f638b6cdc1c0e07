import type { Task } from '../events/index.ts';
import { Caches } from './caches.ts';
import { canceledError, SolveError } from './errors.ts';
import { Executor } from './executor.ts';
import { Flight, gather, type Leftovers } from './flight.ts';
import { type EdgeNode, Graph, type Outcome, type VertexNode } from './graph.ts';
import { Keeper } from './keeper.ts';
import { isNamed } from './keys.ts';
import { KnownEdges } from './known-edge.ts';
import { Namer } from './namer.ts';
import { Reporter } from './reporter.ts';
import { Scope, UNNEEDED } from './scope.ts';
import { Seeker } from './seeker.ts';
import type { KnownEdge, SolveOptions, Solver, SolverEdge, SolverVertex, VertexAccount } from './types.ts';

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
  readonly #seeker: Seeker<Op, R>;
  readonly #executor: Executor<Op, R>;
  readonly #graph: Graph<Op, R>;
  readonly #known = new KnownEdges<Op, R>();
  /**
   * Where a record of a wanted edge may come to light, cheapest first. After each it is loaded if there is one, and the rest is left
   * out; after the last the op runs. docs/dev/cache-keys.md follows an example through them.
   */
  readonly #looks: readonly ((edge: EdgeNode<Op, R>, scope: Scope) => Promise<unknown>)[] = [
    // Definition keys: what the op and its inputs are made from. Nothing runs, nothing is read.
    (edge, scope) => edge.keys.join(scope),
    // Content keys, with hashing and with inputs completed as far as that may lead to a record.
    (edge, scope) => this.#seeker.look(edge, scope),
    // There were records, which made looking further pointless, but none could be loaded; or keys that no consumer had one for.
    (edge, scope) => this.#seeker.lookDeep(edge, scope),
    // The inputs have to be there to run the op. They may have come to other keys than the ones they were expected under.
    async (edge, scope) => {
      await this.#inputs(edge, scope);
      await this.#caches.search(edge);
    },
    // With the inputs there, hashing what is read of them is cheaper than running, and without it nothing can be saved under it.
    async (edge, scope) => {
      if (this.#caches.sources.length === 0) return;
      await Promise.all(edge.vertex.contents.map((content) => content.join(scope)));
      await this.#caches.search(edge);
    },
  ];

  constructor(options: SolveOptions<Op, R>) {
    this.#options = options;
    this.#reporter = new Reporter(options.now);
    const namer = new Namer<Op, R>(options.caches);
    this.#caches = new Caches(options.caches, namer, (message) => {
      this.#reporter.warn(message);
    });
    this.#keeper = new Keeper(this.#caches);
    this.#seeker = new Seeker(this.#reporter, this.#caches, namer);
    this.#executor = new Executor(options, this.#reporter, this.#caches, this.#keeper, this.#leftovers);
    this.#graph = new Graph<Op, R>({
      vertex: (identity, inputs) => this.#newVertex(identity, inputs),
      edge: (vertex, output) => this.#newEdge(vertex, output),
    });
  }

  async solve(task: Task, targets: readonly SolverEdge<Op>[], runner = this.#options.runner): Promise<readonly R[]> {
    if (task.signal.aborted) throw canceledError(task.signal.reason);
    const { edges, vertices } = this.#graph.add(targets, runner);
    using _listener = this.#reporter.listen({
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
      scope.abort(UNNEEDED);
      while (this.#leftovers.size > 0) await Promise.all(this.#leftovers);
      for (const vertex of vertices) if (vertex.state === 'loading') this.#reporter.canceled(vertex);
    }
  }

  keys({ vertex, output }: SolverEdge<Op>): readonly string[] {
    return [...(this.#graph.find(vertex)?.edges.get(output)?.saved ?? [])];
  }

  account(vertex: SolverVertex<Op>): VertexAccount | undefined {
    const node = this.#graph.find(vertex);
    if (node === undefined) return undefined;
    const { state, map, contentDigests } = node;
    const edges = [...node.edges.values()];
    const source = edges.find((edge) => edge.source !== undefined)?.source;
    return {
      state: state === 'new' ? 'pending' : state === 'loading' ? 'started' : state,
      op: map?.digest,
      contents: [...contentDigests],
      nodes: [...new Set(edges.flatMap((edge) => [...edge.saved, ...(edge.nodes[0] ?? [])]))],
      from: source === undefined ? undefined : this.#caches.sources[source]?.id,
      asked: this.#caches.sources.slice(1).flatMap((cache, at) => {
        const names = edges.flatMap((edge) => [...(edge.names[at + 1]?.asked ?? [])]);
        const key = isNamed(cache) ? names[0] : map?.digest;
        return key === undefined ? [] : [{ cache: cache.id, key }];
      }),
    };
  }

  async known(task: Task, targets: readonly SolverEdge<Op>[]): Promise<readonly KnownEdge<R>[]> {
    const { edges, vertices } = this.#graph.add(targets, this.#options.runner);
    for (const edge of edges) this.#known.target(edge);
    const scope = new Scope();
    const onAbort = (): void => {
      scope.abort(task.signal.reason);
    };
    if (task.signal.aborted) onAbort();
    task.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const known: KnownEdge<R>[] = [];
      for (const vertex of vertices) {
        for (const edge of vertex.edges.values()) {
          scope.throwIfAborted();
          // Loading makes its keys ones of the main cache, so it goes first.
          if (edge.outcome === undefined && vertex.inputs.length > 0) {
            await this.#caches.search(edge, { final: true });
            await this.#executor.load(edge, scope);
          }
          await this.#keeper.keysOf(edge);
          known.push(this.#known.of(edge));
        }
      }
      return known;
    } catch (error) {
      throw task.signal.aborted ? canceledError(task.signal.reason) : error;
    } finally {
      task.signal.removeEventListener('abort', onAbort);
      scope.abort(UNNEEDED);
    }
  }

  #newVertex(
    identity: Pick<VertexNode<Op, R>, 'vertex' | 'key' | 'index' | 'runner'>,
    inputs: readonly EdgeNode<Op, R>[],
  ): VertexNode<Op, R> {
    const node: VertexNode<Op, R> = {
      ...identity,
      inputs,
      edges: new Map(),
      cacheMap: this.#flight((scope) => this.#seeker.cacheMap(node, scope)),
      contents: inputs.map((input, at) => this.#flight((scope) => this.#seeker.content(node, input, at, scope))),
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
      keys: this.#flight((scope) => this.#seeker.keys(edge, scope)),
      deepKeys: this.#flight((scope) => this.#seeker.deepKeys(edge, scope)),
      result: this.#flight((scope) => this.#result(edge, scope)),
      looked: Promise.withResolvers(),
      exhausted: false,
      lookedDeep: false,
      hasLooked: false,
      nodes: sources.map(() => new Set()),
      reached: sources.map(() => vertex.inputs.map(() => ({ nodes: new Set(), links: 0 }))),
      names: sources.map(() => ({ known: new Set(), asked: new Set() })),
      readers: [],
      executed: false,
      candidates: [],
      loading: false,
      complete: false,
      outcome: undefined,
      source: undefined,
      seen: new Set(),
      saved: new Set(),
      consumers: 0,
      finished: false,
    };
    return edge;
  }

  #flight<T>(work: (scope: Scope) => Promise<T>): Flight<T> {
    return new Flight(work, this.#leftovers);
  }

  async #result(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R>> {
    const outcome = edge.outcome ?? (await this.#find(edge, scope));
    edge.outcome = outcome;
    edge.complete = true;
    this.#reporter.finished(edge);
    this.#options.onResult?.(this.#known.of(edge));
    return outcome;
  }

  /** A record that can be loaded, or what executing gives. */
  async #find(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R>> {
    for (const look of this.#looks) {
      await look(edge, scope);
      const outcome = await this.#executor.load(edge, scope);
      if (outcome !== undefined) return outcome;
    }
    return this.#executor.run(edge, await this.#inputs(edge, scope), scope);
  }

  /** Completes the inputs of an edge. */
  #inputs(edge: EdgeNode<Op, R>, scope: Scope): Promise<Outcome<R>[]> {
    const wanted = edge.vertex.inputs.map((input) => input.result.join(scope));
    return gather(wanted, this.#options.keepGoing);
  }
}
