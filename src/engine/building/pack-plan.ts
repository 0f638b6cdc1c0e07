import { carriesOutput, type FileOp, type LlbVertex } from '../../llb/index.ts';
import type { Digest } from '../../util/index.ts';
import type { PackingPlan } from '../../ops/index.ts';
import type { CompiledGraphs } from '../compiled.ts';
import { type OutputRequest, packedForm } from './outputs.ts';

/**
 * The plan for a build whose outputs all want layers in one form; undefined when they want files or differ.
 * @param isNews see `PackingPlan`
 */
export function planPacking(compiled: CompiledGraphs, output: OutputRequest, isNews: boolean): PackingPlan | undefined {
  const form = packedForm(output);
  if (!form) return undefined;
  const read = new Set<Digest>();
  const results: LlbVertex[] = [];
  for (const { graph } of compiled.platforms) {
    for (const vertex of graph.vertices) for (const input of vertex.inputs) read.add(input.vertex.digest);
    if (graph.result) results.push(graph.result.vertex);
  }
  // What nothing else in the graph reads needs no directory at all.
  const blobOnly = new Set(results.map(({ digest }) => digest).filter((digest) => !read.has(digest)));
  const bases = new Set<LlbVertex>();
  for (const result of results) addBases(result, bases);
  // Where nothing stays here, the layers of a base image may not be needed as blobs either.
  const isElsewhere = output.specs.every((spec) => spec.type === 'image' && !spec.store);
  const packed = [...bases].filter(({ op }) => !(isElsewhere && op.body?.kind === 'source'));
  return {
    form,
    blobOnly,
    withoutFiles: withoutFiles(compiled),
    ahead: new Set(packed.map(({ digest }) => digest)),
    isNews,
  };
}

/**
 * File ops that lead to results through file ops and merges alone, each of which only builds upon the one before. Of each graph inputs come
 * first, so that whoever reads a vertex was looked at before it.
 */
function withoutFiles({ platforms }: CompiledGraphs): ReadonlySet<Digest> {
  const read = new Set<Digest>();
  const found = new Set<Digest>();
  for (const { graph } of platforms) {
    const result = graph.result?.vertex.digest;
    const led = new Set(result === undefined ? [] : [result]);
    for (const vertex of graph.vertices.toReversed()) {
      const { body } = vertex.op;
      const isDone = led.has(vertex.digest) && (body?.kind === 'file' || body?.kind === 'merge');
      if (isDone) found.add(vertex.digest);
      for (const [at, input] of vertex.inputs.entries()) {
        const { digest } = input.vertex;
        if (isDone && (body.kind === 'merge' || isOnlyBase(body, at))) led.add(digest);
        else read.add(digest);
      }
    }
  }
  return new Set([...found].filter((digest) => !read.has(digest)));
}

/** Whether a file op builds upon an input, and reads nothing of it besides. */
function isOnlyBase({ actions }: FileOp, input: number): boolean {
  return actions.every((action, at) => {
    const { user, group } = ('owner' in action ? action.owner : undefined) ?? {};
    const names = [user, group].some((one) => one?.kind === 'byName' && one.input === input);
    return (action.input === input) === (at === 0) && action.secondaryInput !== input && !names;
  });
}

/** The vertices whose layers are layers of the results, sources and all. */
export function resultVertices({ platforms }: CompiledGraphs): ReadonlySet<Digest> {
  const found = new Set<LlbVertex>();
  for (const { graph } of platforms) if (graph.result) addBases(graph.result.vertex, found);
  return new Set([...found].map(({ digest }) => digest));
}

/** Adds a vertex and those whose layers lie beneath its own. */
function addBases(result: LlbVertex, found: Set<LlbVertex>): void {
  const pending: LlbVertex[] = [result];
  for (let vertex = pending.pop(); vertex !== undefined; vertex = pending.pop()) {
    if (found.has(vertex)) continue;
    found.add(vertex);
    for (const input of basesOf(vertex)) {
      const base = vertex.inputs[input]?.vertex;
      if (base) pending.push(base);
    }
  }
}

/** Inputs that an op builds upon: their layers are beneath its own in the image. */
function basesOf({ op: { body } }: LlbVertex): readonly number[] {
  switch (body?.kind) {
    case 'exec':
      return body.mounts.filter(carriesOutput).map(({ input }) => input);
    case 'file':
      return body.actions.map(({ input }) => input);
    case 'merge':
      return body.inputs.map(({ input }) => input);
    case 'passthrough':
      return body.outputs;
    default:
      return [];
  }
}
