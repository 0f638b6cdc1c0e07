import { copyAll } from '../../fileop/index.ts';
import type { Graph, LlbEdge, LlbVertex, Op } from '../../llb/index.ts';
import { canonicalDigest } from '../../util/index.ts';

/**
 * `FROM name` may name a local directory (`--build-context name=DIR`), and then something is built upon it. A directory of the machine
 * is no layer: where one is the base of an op, or the result, a copy of it is put in between, as a file op of its own. It has a content
 * key like any COPY, so that what is built on it is found in the cache. Definitions stay as BuildKit has them.
 */
export function copyLocalBases(graph: Graph): Graph {
  if (!graph.vertices.some(isLocal)) return graph;
  const copies = new Map<LlbVertex, LlbVertex>();
  const copied = (edge: LlbEdge): LlbEdge => {
    let copy = copies.get(edge.vertex);
    if (!copy) copies.set(edge.vertex, (copy = copyOf(edge.vertex)));
    return { vertex: copy, output: 0 };
  };
  const changed = new Map<LlbVertex, LlbVertex>();
  const order: LlbVertex[] = [];
  for (const vertex of graph.vertices) {
    const inputs = vertex.inputs.map((input, index) => {
      if (isLocal(input.vertex)) return isBase(vertex.op, index) ? copied(input) : input;
      return { vertex: changed.get(input.vertex) ?? input.vertex, output: input.output };
    });
    const isSame = inputs.every(({ vertex: input }, index) => input === vertex.inputs[index]?.vertex);
    const next = isSame ? vertex : { ...vertex, inputs };
    if (!isSame) changed.set(vertex, next);
    for (const { vertex: input } of inputs) if (isCopy(input, copies) && !order.includes(input)) order.push(input);
    order.push(next);
  }
  const { result } = graph;
  if (result === undefined) return { vertices: order, result };
  const end = isLocal(result.vertex)
    ? copied(result)
    : { vertex: changed.get(result.vertex) ?? result.vertex, output: result.output };
  if (isCopy(end.vertex, copies) && !order.includes(end.vertex)) order.push(end.vertex);
  return { vertices: order, result: end };
}

function isCopy(vertex: LlbVertex, copies: ReadonlyMap<LlbVertex, LlbVertex>): boolean {
  const [source] = vertex.inputs;
  return source !== undefined && copies.get(source.vertex) === vertex;
}

function isLocal({ op }: LlbVertex): boolean {
  return op.body?.kind === 'source' && op.body.identifier.startsWith('local://');
}

/** Whether an op builds on its input, rather than reading from it. */
function isBase({ body }: Op, input: number): boolean {
  switch (body?.kind) {
    case 'file':
      return body.actions.some((action) => action.input === input);
    case 'exec':
      return body.mounts.some((mount) => mount.dest === '/' && mount.input === input);
    case 'merge':
    case 'diff':
      return true;
    default:
      return false;
  }
}

function copyOf(source: LlbVertex): LlbVertex {
  return {
    digest: canonicalDigest('tsbuild.local-base.v1', [source.digest]),
    name: `[internal] copying local directory ${source.name}`,
    op: {
      inputs: [{ digest: source.digest, index: 0 }],
      body: { kind: 'file', actions: [{ ...copyAll, output: 0 }] },
    },
    inputs: [{ vertex: source, output: 0 }],
    ignoreCache: source.ignoreCache,
    metadata: source.metadata,
    ranges: source.ranges,
  };
}
