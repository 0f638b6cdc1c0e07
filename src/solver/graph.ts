import { type Digest, TsbuildError } from '../util/index.ts';
import type { Flight } from './flight.ts';
import type { CacheMap, CacheRecord, OpRunner, SolverEdge, SolverVertex } from './types.ts';

/** What was last said about a vertex. `loading` was told as `started`, because a cache reported progress. */
export type NodeState = 'new' | 'pending' | 'loading' | 'started' | 'cached' | 'done' | 'failed' | 'canceled';

/** What an edge came to, and which result it is. Equal ids are the same result. */
export interface Outcome<R> {
  readonly result: R;
  readonly id: string;
}

/** A vertex of a build, whichever of its twins with the same digest came first. */
export interface VertexNode<Op, R> {
  /** Digest, and whether it ignores the cache. */
  readonly key: string;
  readonly vertex: SolverVertex<Op>;
  /** Of the call of `solve` that brought the vertex first: it knows what that one will be wanted for. */
  readonly runner: OpRunner<Op, R>;
  /** Inputs have lower numbers than what reads them. */
  readonly index: number;
  readonly inputs: readonly EdgeNode<Op, R>[];
  /** The outputs that somebody reads, by number. */
  readonly edges: Map<number, EdgeNode<Op, R>>;
  readonly cacheMap: Flight<CacheMap<R>>;
  /** Content keys of what the vertex reads from each input; undefined where the runner could not tell. */
  readonly contents: readonly Flight<Digest | undefined>[];
  /** The content keys known so far. */
  readonly contentDigests: (Digest | undefined)[];
  /** Set with the cache map. */
  map: CacheMap<R> | undefined;
  /** The identities of the op that were asked for so far. */
  readonly digests: Digest[];
  /** Begun when the first identity had led to nothing. */
  alternatives: AsyncIterator<Digest> | undefined;
  /** The question that is under way: edges of one vertex ask together. */
  nextAlternative: Promise<boolean> | undefined;
  state: NodeState;
  /** Edges that are not finished. */
  open: number;
}

/** A record that may become the result of an edge. */
export interface Candidate {
  /** Which of the caches has it; 0 is the main one. */
  readonly source: number;
  readonly node: string;
  readonly record: CacheRecord;
}

/** One output of a vertex: what results and cache keys belong to. */
export interface EdgeNode<Op, R> {
  readonly vertex: VertexNode<Op, R>;
  readonly output: number;
  /** Definition keys: looks up what can be known without running anything. */
  readonly keys: Flight<void>;
  /** Content keys: looks further, and for that completes inputs where need be. */
  readonly deepKeys: Flight<void>;
  /** The record that is loaded, or what running the op gives. */
  readonly result: Flight<Outcome<R>>;
  /** Resolves when `deepKeys` found something, or learned that nothing can be found before all inputs are complete. */
  readonly looked: PromiseWithResolvers<void>;
  /** Nothing can be found before all inputs are complete. */
  exhausted: boolean;
  /** More than definition keys was tried. */
  lookedDeep: boolean;
  /** `looked` is resolved. */
  hasLooked: boolean;
  /** Per cache: nodes that this edge is known by. */
  readonly nodes: readonly Set<string>[];
  /** Per cache and input: nodes reached through that input, and how many links were asked for to learn that. */
  readonly reached: readonly (readonly { nodes: Set<string>; links: number }[])[];
  /** Per cache: what it is called there and which of these names were asked for, where the cache names what it has. */
  readonly names: readonly { readonly known: Set<string>; readonly asked: Set<string> }[];
  /** Vertices that have it as input. */
  readonly readers: VertexNode<Op, R>[];
  /** The op ran, and gave this. */
  executed: boolean;
  /** Records that were found and not tried, best first. */
  readonly candidates: Candidate[];
  /** A candidate is being loaded. */
  loading: boolean;
  /** The result is there. */
  complete: boolean;
  outcome: Outcome<R> | undefined;
  /** Which of the caches the result was loaded from. */
  source: number | undefined;
  /** Records that were ever candidates: one that could not be loaded is not tried again. */
  readonly seen: Set<string>;
  /** Nodes of the main cache under which the result stands. */
  readonly saved: Set<string>;
  /** Who asked for this edge and has not got it: vertices, and calls of `solve`. */
  consumers: number;
  /** It has its result and that was told. Kept apart from `complete`, since telling goes through the inputs. */
  finished: boolean;
}

/** Makes the flights of new nodes; the graph knows nothing of the work. */
export interface NodeFactory<Op, R> {
  vertex(
    identity: Pick<VertexNode<Op, R>, 'vertex' | 'key' | 'index' | 'runner'>,
    inputs: readonly EdgeNode<Op, R>[],
  ): VertexNode<Op, R>;
  edge(vertex: VertexNode<Op, R>, output: number): EdgeNode<Op, R>;
}

/** The vertices of a build. */
export class Graph<Op, R> {
  readonly #factory: NodeFactory<Op, R>;
  readonly #vertices = new Map<string, VertexNode<Op, R>>();

  constructor(factory: NodeFactory<Op, R>) {
    this.#factory = factory;
  }

  /**
   * Adds what is beneath `targets`, to be run by `runner` where it is new; does not recurse, so that a deep graph does not overflow the stack.
   * @returns the edges of `targets`, and all vertices they need, inputs first
   * @throws TsbuildError `TSB_LLB` for a graph with a cycle
   */
  add(
    targets: readonly SolverEdge<Op>[],
    runner: OpRunner<Op, R>,
  ): { edges: EdgeNode<Op, R>[]; vertices: VertexNode<Op, R>[] } {
    const vertices = new Map<string, VertexNode<Op, R>>();
    const open = new Set<string>();
    const stack = targets.map(({ vertex }) => vertex).reverse();
    for (let vertex = stack.at(-1); vertex !== undefined; vertex = stack.at(-1)) {
      const key = keyOf(vertex);
      if (vertices.has(key)) {
        stack.pop();
        continue;
      }
      const missing = vertex.inputs.filter((input) => !vertices.has(keyOf(input.vertex)));
      if (missing.length === 0) {
        stack.pop();
        open.delete(key);
        vertices.set(key, this.#vertex(vertex, key, runner));
        continue;
      }
      // On the way down: met again before it is done, it is beneath itself.
      open.add(key);
      for (const input of missing.toReversed()) {
        if (open.has(keyOf(input.vertex))) throw cycle(vertex);
        stack.push(input.vertex);
      }
    }
    const edges = targets.map((target) => this.#edge(target));
    for (const edge of edges) edge.consumers++;
    return { edges, vertices: [...vertices.values()] };
  }

  /** The node of a vertex that was added, or of a twin. */
  find(vertex: SolverVertex<Op>): VertexNode<Op, R> | undefined {
    return this.#vertices.get(keyOf(vertex));
  }

  #vertex(vertex: SolverVertex<Op>, key: string, runner: OpRunner<Op, R>): VertexNode<Op, R> {
    let node = this.#vertices.get(key);
    if (node === undefined) {
      const inputs = vertex.inputs.map((input) => this.#edge(input));
      node = this.#factory.vertex({ vertex, key, index: this.#vertices.size, runner }, inputs);
      this.#vertices.set(key, node);
      for (const input of inputs) {
        input.consumers++;
        input.readers.push(node);
      }
    }
    return node;
  }

  #edge({ vertex, output }: SolverEdge<Op>): EdgeNode<Op, R> {
    const node = this.#vertices.get(keyOf(vertex));
    if (node === undefined) throw new TsbuildError('TSB_INTERNAL', `Cannot find vertex "${vertex.name}" in the graph`);
    let edge = node.edges.get(output);
    if (edge === undefined) {
      edge = this.#factory.edge(node, output);
      node.edges.set(output, edge);
      node.open++;
    }
    return edge;
  }
}

/**
 * A vertex that ignores the cache must not share its work with a twin that does not: it would be served the old
 * result.
 */
function keyOf(vertex: SolverVertex<unknown>): string {
  return vertex.ignoreCache ? `${vertex.digest}!` : vertex.digest;
}

function cycle(vertex: SolverVertex<unknown>): TsbuildError {
  return new TsbuildError('TSB_LLB', `Cannot solve the build graph: vertex "${vertex.name}" depends on itself`);
}
