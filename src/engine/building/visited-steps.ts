import type { LlbVertex } from '../../llb/index.ts';
import type { StepVisitor } from '../../ops/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CompiledGraphs, PlatformGraph } from '../compiled.ts';

/** Steps that an error names. */
const MAX_NAMED = 20;

/**
 * The graphs with the steps that a visitor wants to see set to run, whatever is cached.
 * @throws TsbuildError `TSB_NOT_FOUND` when there is no such step
 */
export function withVisitedSteps(compiled: CompiledGraphs, visitor: StepVisitor | undefined): CompiledGraphs {
  const wants = visitor?.wants;
  if (wants === undefined) return compiled;
  const steps = compiled.platforms.flatMap(({ graph }) => graph.vertices).filter(({ op }) => op.body?.kind === 'exec');
  if (!steps.some(({ name }) => wants(name))) {
    const names = [...new Set(steps.map(({ name }) => name))];
    const more = names.length > MAX_NAMED ? `; and ${names.length - MAX_NAMED} more` : '';
    throw new TsbuildError('TSB_NOT_FOUND', 'The build has no such step', {
      hint:
        names.length === 0 ? 'it has no RUN at all' : `its steps are: ${names.slice(0, MAX_NAMED).join('; ')}${more}`,
    });
  }
  const changed = new Map<LlbVertex, LlbVertex>();
  const change = (vertex: LlbVertex): LlbVertex => {
    const inputs = vertex.inputs.map((input) => ({ ...input, vertex: changed.get(input.vertex) ?? input.vertex }));
    const runs = vertex.ignoreCache || (vertex.op.body?.kind === 'exec' && wants(vertex.name));
    const next = { ...vertex, inputs, ignoreCache: runs };
    changed.set(vertex, next);
    return next;
  };
  const platforms = compiled.platforms.map((platform): PlatformGraph => {
    const vertices = platform.graph.vertices.map((vertex) => changed.get(vertex) ?? change(vertex));
    const { result } = platform.graph;
    const end = result && { ...result, vertex: changed.get(result.vertex) ?? result.vertex };
    return { ...platform, graph: { vertices, result: end } };
  });
  return { ...compiled, platforms };
}
