import type { ExecOp } from '../llb/index.ts';
import type { Digest } from '../util/index.ts';
import type { CompiledGraphs } from './compiled.ts';

/** The vertices that a step stands on, however far below. @param isMeant which steps count */
export function beneathSteps(
  { platforms }: Pick<CompiledGraphs, 'platforms'>,
  isMeant: (exec: ExecOp) => boolean,
): ReadonlySet<Digest> {
  const found = new Set<Digest>();
  for (const { graph } of platforms) {
    // Inputs come before who reads them.
    for (const { digest, op, inputs } of graph.vertices.toReversed()) {
      const counts = op.body?.kind === 'exec' && isMeant(op.body);
      if (counts || found.has(digest)) for (const { vertex } of inputs) found.add(vertex.digest);
    }
  }
  return found;
}
