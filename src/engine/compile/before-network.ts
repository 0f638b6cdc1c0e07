import type { Digest } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';

/** The vertices that a step with the isolated network stands on, however far below. */
export function beforeNetwork({ platforms }: Pick<CompiledGraphs, 'platforms'>): ReadonlySet<Digest> {
  const found = new Set<Digest>();
  for (const { graph } of platforms) {
    // Inputs come before who reads them.
    for (const { digest, op, inputs } of graph.vertices.toReversed()) {
      const wantsNetwork = op.body?.kind === 'exec' && op.body.network === 'sandbox';
      if (wantsNetwork || found.has(digest)) for (const { vertex } of inputs) found.add(vertex.digest);
    }
  }
  return found;
}
