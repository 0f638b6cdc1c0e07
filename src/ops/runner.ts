import type { Op } from '../llb/index.ts';
import type { OpRunner } from '../solver/index.ts';
import { TsbuildError } from '../util/index.ts';
import { execRunner } from './exec/exec-runner.ts';
import { networkPreparer } from './exec/prepare-network.ts';
import { fileRunner } from './file/file-runner.ts';
import type { KindRunner, OpVertex } from './kind-runner.ts';
import { diffRunner, mergeRunner, passthroughRunner } from './merge-op.ts';
import type { PackingPlan } from './packing-plan.ts';
import type { OpPieces } from './pieces.ts';
import type { OpResult } from './result.ts';
import { sourceRunner } from './source/source-runner.ts';

type Body = NonNullable<Op['body']>;
type Runners = { readonly [K in Body['kind']]?: KindRunner<Extract<Body, { readonly kind: K }>> };

/**
 * Knows how to key and run every kind of op.
 * @param plan absent: no layer will be wanted as a blob, as in what is solved only to look into a remote context
 */
export function createRunner(pieces: OpPieces, plan?: PackingPlan): OpRunner<Op, OpResult> {
  const prepareNetwork = networkPreparer(pieces.snapshots);
  const runners: Runners = {
    source: sourceRunner(pieces),
    exec: execRunner(pieces, prepareNetwork),
    file: fileRunner(pieces, plan),
    merge: mergeRunner,
    diff: diffRunner(pieces),
    passthrough: passthroughRunner,
  };
  const runnerOf = (vertex: OpVertex): { readonly body: Body; readonly runner: KindRunner<Body> } => {
    const { body } = vertex.op;
    const runner = body && runners[body.kind];
    if (!runner) throw unsupported(vertex);
    return { body, runner };
  };
  const { layers } = pieces.snapshots;
  return {
    async cacheMap(task, vertex) {
      const { body, runner } = runnerOf(vertex);
      return runner.cacheMap(task, vertex, body);
    },
    async exec(task, vertex, inputs) {
      const { body, runner } = runnerOf(vertex);
      const running = runner.run(task, vertex, body, inputs);
      // New files run anew what stands on them: it takes longer to be connected than to copy most of them.
      if (body.kind === 'file' && pieces.recorded === undefined && pieces.beforeNetwork?.has(vertex.digest))
        prepareNetwork();
      const results = await running;
      const [first] = results;
      const layer = first?.kind === 'layers' ? first.layers.at(-1) : undefined;
      if (layer !== undefined && plan?.ahead.has(vertex.digest) === true)
        layers.packAhead(pieces.report.build, layer, plan.form);
      return results;
    },
    isSource: (vertex) => vertex.op.body?.kind === 'source',
  };
}

function unsupported(vertex: OpVertex): TsbuildError {
  return new TsbuildError(
    'TSB_LLB',
    `Cannot run "${vertex.name}": ops of kind ${JSON.stringify(vertex.op.body?.kind ?? 'none')} are not supported`,
  );
}
