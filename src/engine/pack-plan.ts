import type { CompileResult } from '../frontend/index.ts';
import { carriesOutput, type LlbVertex } from '../llb/index.ts';
import type { Digest } from '../util/index.ts';
import type { PackForm } from '../snapshots/index.ts';
import type { DirectOutput } from '../ops/index.ts';
import { type OutputRequest, packedForm } from './outputs.ts';

/** Which layers of a build will be wanted as blobs, so that they are packed as early as possible. */
export interface PackPlan {
  readonly form: PackForm;
  /** Results that nothing else in the graph reads: they need no directory at all. */
  readonly direct: DirectOutput;
  /** The vertices that make the layers of the results. */
  readonly ahead: ReadonlySet<Digest>;
}

/** The plan for a build whose outputs all want layers in one form; undefined when they want files or differ. */
export function planPacking(compiled: CompileResult, output: OutputRequest): PackPlan | undefined {
  const form = packedForm(output);
  if (!form) return undefined;
  const read = new Set<Digest>();
  const results: LlbVertex[] = [];
  for (const { graph } of compiled.platforms) {
    for (const vertex of graph.vertices) for (const input of vertex.inputs) read.add(input.vertex.digest);
    if (graph.result) results.push(graph.result.vertex);
  }
  const direct = new Set(results.map(({ digest }) => digest).filter((digest) => !read.has(digest)));
  const ahead = new Set<Digest>();
  for (const result of results) addBases(result, ahead);
  const { compression, ...level } = form;
  return { form: { kind: compression, ...level }, direct: { vertices: direct, ...form }, ahead };
}

/** Adds a vertex and those whose layers lie beneath its own. */
function addBases(result: LlbVertex, found: Set<Digest>): void {
  const pending: LlbVertex[] = [result];
  for (let vertex = pending.pop(); vertex !== undefined; vertex = pending.pop()) {
    if (found.has(vertex.digest)) continue;
    found.add(vertex.digest);
    for (const input of basesOf(vertex)) {
      const base = vertex.inputs[input]?.vertex;
      if (base) pending.push(base);
    }
  }
}

function basesOf({ op: { body } }: LlbVertex): readonly number[] {
  switch (body?.kind) {
    case 'exec':
      return body.mounts.filter(carriesOutput).map(({ input }) => input);
    case 'file':
      return body.actions.map(({ input }) => input);
    case 'merge':
      return body.inputs.map(({ input }) => input);
    default:
      return [];
  }
}
