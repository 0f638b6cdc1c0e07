import { giveSockets, refuseSteps, supervise } from '../sandbox/index.ts';
import { withShallowStacks } from './deep-stack.ts';
import { encodeHere } from './encode-here.ts';
import type { HandlerContext } from './handler-context.ts';
import { prepareUpper } from './prepare-upper.ts';
import type { SuperviseParams } from './protocol.ts';
import { withNetwork } from './step-network.ts';

/** Has a supervisor stay with a container in the sandbox of a step, until that has ended. For plans without copies. */
export async function superviseHere(
  { uppers, directory, ...spec }: SuperviseParams,
  context: HandlerContext,
): Promise<void> {
  const { plan, helperPath } = context.config;
  refuseSteps(plan, spec.args.join(' '));
  for (const upper of uppers ?? []) prepareUpper(upper, context);
  giveSockets(spec.mounts ?? [], plan);
  await withNetwork(withShallowStacks(spec, context.config), context, (networked, signal) =>
    supervise({
      helperPath,
      directory,
      encoded: encodeHere(networked, context.config),
      signal,
      onTold: context.progress,
      ...(context.boundProc ? { onBoundProc: context.boundProc } : {}),
    }),
  );
}
