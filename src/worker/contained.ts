import { giveSockets, refuseSteps, supervise } from '../sandbox/index.ts';
import { withoutCopies } from './bound-stacks.ts';
import { withShallowStacks } from './deep-stack.ts';
import { encodeHere } from './encode-here.ts';
import type { HandlerContext } from './handler-context.ts';
import { prepareUpper } from './prepare-upper.ts';
import type { SuperviseParams } from './protocol.ts';
import { withNetwork } from './step-network.ts';

/** Has a supervisor stay with a container in the sandbox of a step, until that has ended. */
export async function superviseHere(
  { uppers, directory, tree, ...spec }: SuperviseParams,
  context: HandlerContext,
): Promise<void> {
  const { plan, helperPath } = context.config;
  refuseSteps(plan, spec.args.join(' '));
  for (const upper of uppers ?? []) prepareUpper(upper, context);
  giveSockets(spec.mounts ?? [], plan);
  const stacked = tree === undefined ? withShallowStacks(spec, context.config) : spec;
  const shown = tree === undefined || plan.how === 'none' ? stacked : withoutCopies(stacked);
  await withNetwork(shown, context, (networked, signal) =>
    supervise({
      helperPath,
      directory,
      encoded: encodeHere(networked, context.config, tree === undefined ? {} : { tree }),
      signal,
      onTold: context.progress,
      ...(context.boundProc ? { onBoundProc: context.boundProc } : {}),
    }),
  );
}
