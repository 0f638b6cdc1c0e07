import {
  type BuildOp,
  decodeDefinition,
  type Definition,
  type Graph,
  type LlbEdge,
  type LlbVertex,
  loadGraph,
  MAX_OPS,
} from '../../llb/index.ts';
import type { Task } from '../../events/index.ts';
import type { SourcePolicies } from '../../source-policy/index.ts';
import { atPlace, canonicalDigest, TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';
import { checkSupported, definitionFile, definitionInput } from './foreign-graph.ts';
import { copyLocalBases } from './local-bases.ts';
import { readLocalFile } from './local-files.ts';
import { policed } from './policed.ts';
import type { RequestSolver } from './solve.ts';
import { StackTree } from './stack-tree.ts';

/** Graphs within graphs within graphs: a step could write the next one forever. */
const MAX_DEPTH = 10;

/** What graphs within a graph are read and checked with. */
export interface GraphBuild {
  readonly session: Session;
  readonly task: Task;
  readonly solver: RequestSolver;
  /** Hold for the sources of all of them. */
  readonly policies: SourcePolicies;
}

/** Whether something in a graph is a graph itself. */
export function hasNestedGraphs({ vertices }: Graph): boolean {
  return vertices.some(isBuild);
}

/**
 * Puts the graphs that files of a graph hold in the place of the ops that ask for them to be built. For that, what has these files is
 * solved first. What stands in a file is as foreign as the graph that names it, and is checked in the same way.
 * @throws TsbuildError `TSB_LLB` for a file that is not there or no definition, for graphs that are nested without end or come to too many
 * ops; `TSB_POLICY`; SolveError
 */
export async function withNestedGraphs(build: GraphBuild, graphs: readonly Graph[]): Promise<readonly Graph[]> {
  if (!graphs.some(hasNestedGraphs)) return graphs;
  const nesting = new Nesting(build);
  const expanded: Graph[] = [];
  for (const graph of graphs) expanded.push(await nesting.expand(graph, []));
  return expanded;
}

class Nesting {
  readonly #build: GraphBuild;
  /** Ops of all graphs within graphs. */
  #count = 0;

  constructor(build: GraphBuild) {
    this.#build = build;
  }

  /** @param open the builds that the graph is within, outermost first */
  async expand({ vertices, result }: Graph, open: readonly LlbVertex[]): Promise<Graph> {
    const changed = new Map<LlbVertex, LlbVertex>();
    const nested = new Map<LlbVertex, LlbEdge>();
    const order = new Set<LlbVertex>();
    const meant = (edge: LlbEdge): LlbEdge =>
      nested.get(edge.vertex) ?? { vertex: changed.get(edge.vertex) ?? edge.vertex, output: edge.output };
    for (const vertex of vertices) {
      const inputs = vertex.inputs.map(meant);
      const isSame = inputs.every((input, index) => input.vertex === vertex.inputs[index]?.vertex);
      const next = isSame ? vertex : { ...vertex, inputs };
      if (!isSame) changed.set(vertex, next);
      if (!isBuild(next)) {
        order.add(next);
        continue;
      }
      const graph = await this.#graphOf(next, [...order], open);
      for (const inner of graph.vertices) order.add(inner);
      const end = graph.result ?? { vertex: scratchOf(next), output: 0 };
      order.add(end.vertex);
      nested.set(vertex, end);
    }
    return { vertices: [...order], result: result && meant(result) };
  }

  /** The graph that a build stands for. */
  async #graphOf(vertex: BuildVertex, beneath: readonly LlbVertex[], open: readonly LlbVertex[]): Promise<Graph> {
    const fail = (why: string): TsbuildError =>
      new TsbuildError('TSB_LLB', `Cannot solve "${vertex.name}": ${why}`, { ranges: vertex.ranges });
    if (open.some(({ digest }) => digest === vertex.digest)) throw fail('the graph that it builds is within itself');
    if (open.length >= MAX_DEPTH) throw fail(`${MAX_DEPTH} graphs are within each other already`);
    try {
      const definition = policed(await this.#read(vertex, beneath), this.#build.policies);
      const graph = loadGraph(definition);
      this.#count += graph.vertices.length;
      if (this.#count > MAX_OPS) throw fail(`the graphs within the graph have more than ${MAX_OPS} ops together`);
      for (const inner of graph.vertices) checkSupported(inner);
      return await this.expand(ofBuild(graph, vertex), [...open, vertex]);
    } catch (error) {
      throw atPlace(error, vertex.ranges);
    }
  }

  /** The definition in the file that a build names. @param beneath all vertices that its inputs may stand on, inputs first */
  async #read({ op, inputs, name }: BuildVertex, beneath: readonly LlbVertex[]): Promise<Definition> {
    const { session, task, solver } = this.#build;
    const path = definitionFile(op.body);
    const source = inputs[definitionInput(op.body)];
    // What is only read needs no copy of a directory.
    const isLocal =
      source?.vertex.op.body?.kind === 'source' && source.vertex.op.body.identifier.startsWith('local://');
    const edge = isLocal ? source : copyLocalBases({ vertices: beneath, result: source }).result;
    const result = edge && (await solver.result(task, edge));
    const bytes =
      result?.kind === 'local'
        ? readLocalFile(result.tree, path)
        : await new StackTree(session, await session.layers.directories(task, result?.layers ?? [])).read(
            path,
            undefined,
            task.signal,
          );
    if (bytes !== undefined) return decodeDefinition(bytes);
    throw new TsbuildError('TSB_LLB', `Cannot solve "${name}": failed to open ${path}: no such file or directory`);
  }
}

/** A vertex that stands for what a definition in a file of its input comes to. */
interface BuildVertex extends LlbVertex {
  readonly op: LlbVertex['op'] & { readonly body: BuildOp };
}

function isBuild(vertex: LlbVertex): vertex is BuildVertex {
  return vertex.op.body?.kind === 'build';
}

/**
 * A graph as part of the one that has it in a file: what fails in it failed at the place where it is asked for, whose source is shown, and it
 * is built anew where that is.
 */
function ofBuild({ vertices, result }: Graph, { ranges, ignoreCache }: BuildVertex): Graph {
  const made = new Map<LlbVertex, LlbVertex>();
  const meant = ({ vertex, output }: LlbEdge): LlbEdge => ({ vertex: made.get(vertex) ?? vertex, output });
  for (const vertex of vertices)
    made.set(vertex, {
      ...vertex,
      ranges,
      ignoreCache: ignoreCache || vertex.ignoreCache,
      inputs: vertex.inputs.map(meant),
    });
  return { vertices: [...made.values()], result: result && meant(result) };
}

/** What an empty definition comes to. */
function scratchOf({ digest, metadata, ranges }: BuildVertex): LlbVertex {
  return {
    digest: canonicalDigest('tsbuild.scratch.v1', [digest]),
    name: 'scratch',
    op: { inputs: [], body: { kind: 'diff', lower: { input: -1 }, upper: { input: -1 } } },
    inputs: [],
    ignoreCache: false,
    metadata,
    ranges,
  };
}
