import type { Digest } from '../util/index.ts';
import type { Task, VertexState } from '../events/index.ts';

/**
 * The solver's view of the graph. It knows nothing of files or containers: `Op` is whatever the runner understands and `R`
 * whatever it produces. Results are immutable values; the build's lease keeps alive what they name.
 */
export interface SolverVertex<Op> {
  readonly digest: Digest;
  readonly name: string;
  readonly op: Op;
  readonly inputs: readonly SolverEdge<Op>[];
  /** Neither loads cached results nor shows its old keys to consumers, but saves new ones (`--no-cache`). */
  readonly ignoreCache: boolean;
}

/** One output of a vertex. */
export interface SolverEdge<Op> {
  readonly vertex: SolverVertex<Op>;
  readonly output: number;
}

/** How one input takes part in the cache key. */
export interface CacheDep<R> {
  /** Which part of the input the op reads, as a digest over the paths; part of the link, not of the input's key. */
  readonly selector?: Digest;
  /**
   * Content key of what the op reads from the input. Called only when definition keys gave no match.
   * Absent when something un-hashed could leak into the output. A failure counts as "no key": executing the op will tell.
   */
  readonly contentDigest?: (task: Task, input: R) => Promise<Digest>;
}

/** Identity of an op without its inputs (BuildKit's CacheMap). */
export interface CacheMap<R> {
  readonly digest: Digest;
  /** One per input, in order. */
  readonly deps: readonly CacheDep<R>[];
  /** The digest means nothing beyond this process (a local source); only content keys of its result are ever stored. */
  readonly volatile?: boolean;
  /** Further identities tried in order while nothing was found, e.g. an image's chain id after its manifest digest. */
  readonly alternatives?: () => AsyncIterable<Digest>;
}

/** One per build: knows how to key and run every kind of op. */
export interface OpRunner<Op, R> {
  cacheMap(task: Task, vertex: SolverVertex<Op>): Promise<CacheMap<R>>;
  /**
   * Runs the op; called when the inputs are there and a slot is free. Gives one result per output. After an abort it rejects, with
   * whatever error, once all that it started has ended.
   */
  exec(task: Task, vertex: SolverVertex<Op>, inputs: readonly R[]): Promise<readonly R[]>;
  /** Whether executing mostly waits for the network: such ops have slots of their own. Default: none does. */
  isSource?(vertex: SolverVertex<Op>): boolean;
}

/** A stored result. `createdAt` is in ms since the epoch. */
export interface CacheRecord {
  readonly id: string;
  readonly createdAt: number;
}

/** A link in the key graph: an op that reads, through `input` and `selector`, something whose key is `from`, has the key it leads to. */
export interface KeyLink {
  readonly op: Digest;
  readonly output: number;
  readonly input: number;
  readonly selector?: Digest;
  /** Node id of the input's key. */
  readonly from: string;
}

/**
 * Where keys and results are kept: the local index, or an imported cache. Node ids are strings of the source's own making;
 * a leaf's id is `leafKey(digest, output)` everywhere.
 * A failing or corrupt source answers "nothing" and warns; it never fails a build (security rule 13).
 */
export interface CacheSource<R> {
  readonly id: string;
  /** Node ids that the links lead to. */
  query(links: readonly KeyLink[]): Promise<readonly string[]> | readonly string[];
  /** Records stored under a node, newest first. */
  records(node: string): Promise<readonly CacheRecord[]> | readonly CacheRecord[];
  /** Turns a record into a result; throws when what it names is gone or damaged. */
  load(task: Task, record: CacheRecord): Promise<R>;
  /** Adds links to a node (made if need be). */
  link?(node: string, links: readonly KeyLink[]): void;
  /** Stores a result under a node. */
  save?(node: string, result: R): CacheRecord | undefined;
  /** Links from leaves to a node, as far as they are about one output of an op: what else its result is known by. */
  leafLinks?(node: string, op: Digest, output: number): readonly KeyLink[];
  /** Forgets a record that could not be loaded. */
  drop?(record: CacheRecord): void;
}

/** One way in which an input of an op is known: the node that it is, or its content, and what of it the op reads. */
export type NamedInput = Pick<KeyLink, 'from' | 'selector'>;

/** What a cache that names its nodes has at one of them. */
export interface NamedNode {
  /** Newest first. */
  readonly records: readonly CacheRecord[];
  /** Nodes that are this one under another name: what was made of it may be found under these names only. */
  readonly names: readonly string[];
}

/**
 * A cache whose nodes are named by what they stand for, in the same words on every machine, so that a build knows what to ask for
 * without having followed any links: everything that can be known at once is asked for together, however far away the cache is.
 * It fails as a `CacheSource` does.
 */
export interface NamedCache<R> {
  readonly id: string;
  /**
   * The names of what one output of an op is, made from inputs that are known in these ways. Asks nobody whether there is such a node; a cache
   * may leave out some of many combinations.
   * @param inputs per input, at least one way each
   */
  derive(op: Digest, output: number, inputs: readonly (readonly NamedInput[])[]): readonly string[];
  /** Told of nodes as soon as their names are known: they are likely to be asked for. */
  expect(nodes: readonly string[]): void;
  /** What is at a node; undefined when there is no such node. */
  node(name: string): Promise<NamedNode | undefined>;
  /** @see CacheSource.load */
  load(task: Task, record: CacheRecord): Promise<R>;
  /** @see CacheSource.leafLinks */
  leafLinks(node: string, op: Digest, output: number): readonly KeyLink[];
  /** @see CacheSource.drop */
  drop(record: CacheRecord): void;
}

/** What a solver works with. Everything that it touches comes in here. */
export interface SolveOptions<Op, R> {
  /** Runs what `solve` is given no other runner for. */
  readonly runner: OpRunner<Op, R>;
  /** First is the main one: results are saved there. */
  readonly caches: readonly (CacheSource<R> | NamedCache<R>)[];
  /** Told of each edge that has its result, in the order in which they come to it. */
  readonly onResult?: (edge: KnownEdge<R>) => void;
  /** Executing ops at a time, at least 1. */
  readonly concurrency: number;
  /** Executing sources at a time. Default: `concurrency`, and at least 4. */
  readonly sourceConcurrency?: number;
  /**
   * Held while a vertex executes, keyed by its cache key, so that two processes on one store run it once.
   * After waiting the solver looks for a record again. No slot is held meanwhile.
   */
  readonly exclusive?: (task: Task, key: string) => Promise<AsyncDisposable>;
  /** Milliseconds since the epoch, for events. */
  readonly now: () => number;
  /** Keep solving vertices that do not depend on a failed one. Default false: siblings are canceled. */
  readonly keepGoing?: boolean;
}

/** Solves graphs; all calls share what they have found out. One per build: local sources are taken as unchanging. */
export interface Solver<Op, R> {
  /**
   * Results of `edges`, in order. Nothing that was started is running any more when the promise settles.
   * @param runner for the vertices that no earlier call has brought; default: that of the options
   * @throws SolveError of the first vertex that failed
   * @throws TsbuildError `TSB_CANCELED` (or the signal's reason, if that is a TsbuildError) when the task was aborted, `TSB_LLB`
   * when the graph has a cycle
   */
  solve(task: Task, edges: readonly SolverEdge<Op>[], runner?: OpRunner<Op, R>): Promise<readonly R[]>;
  /** Nodes of the main cache under which the result of a solved edge stands. */
  keys(edge: SolverEdge<Op>): readonly string[];
  /** What became of a vertex of an earlier call of `solve`; undefined for one of no call. Costs next to nothing. */
  account(vertex: SolverVertex<Op>): VertexAccount | undefined;
  /**
   * For cache export, after `solve`: everything beneath `edges` with its keys and its result, inputs first. Executes nothing: what
   * was not needed has the result of a record, if there is one; one of another cache is saved in the main one by that.
   */
  known(task: Task, edges: readonly SolverEdge<Op>[]): Promise<readonly KnownEdge<R>[]>;
}

/** What became of a vertex, and what it is known by. */
export interface VertexAccount {
  /** `pending`: nobody needed it, or everything ended before. */
  readonly state: VertexState;
  /** Identity of the op without its inputs, where somebody had to know. */
  readonly op: Digest | undefined;
  /** Per input: content key of what the op reads of it, where that was found out. */
  readonly contents: readonly (Digest | undefined)[];
  /** Per output that somebody reads: nodes of the main cache under which it is known. */
  readonly nodes: readonly string[];
  /** Id of the cache that its result was loaded from; undefined for what ran or was not loaded. */
  readonly from: string | undefined;
  /** Caches besides the main one that it was looked for in, by their ids, and by what key: a name there, or the identity of the op. */
  readonly asked: readonly { readonly cache: string; readonly key: string }[];
}

/** What a solver knows of an edge. The same edge is always the same object, which shows what is known by now. */
export interface KnownEdge<R> {
  /** Digest of the vertex. */
  readonly vertex: Digest;
  /** What progress calls the vertex. */
  readonly name: string;
  /** Nodes of the main cache; none for what means nothing beyond this process. */
  readonly nodes: readonly string[];
  readonly result: R | undefined;
  /** It has no inputs. */
  readonly source: boolean;
  /** It is one of those that were asked about. */
  readonly target: boolean;
  /** The op ran in this build; its result is not that of a record. */
  readonly executed: boolean;
  /** Identities of the op, the first of which it always has; none for what means nothing beyond this process. */
  readonly ops: readonly Digest[];
  readonly output: number;
  readonly inputs: readonly KnownInput<R>[];
}

/** One input of an edge, with what is known of it. */
export interface KnownInput<R> {
  readonly edge: KnownEdge<R>;
  readonly selector?: Digest;
  /** Content of what the op reads, where somebody had to look at it. */
  readonly content?: Digest;
}
