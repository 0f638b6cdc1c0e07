import type { ReasonKind, StepOutcome, StepReason, Task } from '../events/index.ts';
import type { LlbVertex } from '../llb/index.ts';
import type { VertexAccount } from '../solver/index.ts';
import type { RequestSolver } from './solve.ts';
import type { CompiledGraphs } from './compiled.ts';

/** Tells for each step of a build why it ran or did not. Says nothing where nothing was solved. */
export async function tellReasons(
  task: Task,
  { platforms }: CompiledGraphs,
  solver: RequestSolver,
  now: () => number,
): Promise<void> {
  // Why nothing could be solved is told by whoever wanted it.
  const account = await solver.account().catch(() => undefined);
  if (account === undefined) return;
  for (const vertex of new Set(platforms.flatMap(({ graph }) => graph.vertices))) {
    const of = account(vertex);
    if (of === undefined || isContext(vertex)) continue;
    task.events({ type: 'reason', vertex: vertex.digest, at: now(), reason: reasonOf(vertex, of) });
  }
}

/** Directories of the machine are no steps: what is read of them is of the step that reads. */
function isContext({ op }: LlbVertex): boolean {
  return op.body?.kind === 'source' && op.body.identifier.startsWith('local://');
}

function reasonOf(vertex: LlbVertex, account: VertexAccount): StepReason {
  const outcome = outcomeOf(account);
  const [kind, text] = kindOf(vertex, outcome, account);
  const { from } = account;
  const foreign = from === undefined || from === 'local' ? {} : { from };
  return { outcome, kind, text, differences: [], more: 0, asked: [], ...foreign };
}

function kindOf(vertex: LlbVertex, outcome: StepOutcome, { from }: VertexAccount): readonly [ReasonKind, string] {
  switch (outcome) {
    case 'cached':
      return ['hit', from === undefined || from === 'local' ? 'in the cache' : `in the cache ${from}`];
    case 'unneeded':
    case 'stopped':
      return ['none', ''];
    case 'ran':
    case 'failed':
      return vertex.ignoreCache ? ['no-cache', 'it was to run again'] : ['no-record', 'no earlier record'];
  }
}

function outcomeOf({ state }: VertexAccount): StepOutcome {
  switch (state) {
    case 'cached':
      return 'cached';
    case 'done':
      return 'ran';
    case 'failed':
      return 'failed';
    case 'pending':
      return 'unneeded';
    case 'started':
    case 'canceled':
      return 'stopped';
  }
}
