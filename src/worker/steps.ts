import {
  type EncodeOptions,
  type ExitStatus,
  giveSockets,
  refuseSteps,
  runStep,
  type StepSpec,
  StepServers,
} from '../sandbox/index.ts';
import { withShallowStacks } from './deep-stack.ts';
import { dropCopiedUp, LayerRoots } from './drop-copied-up.ts';
import { encodeHere } from './encode-here.ts';
import type { HandlerContext } from './handler-context.ts';
import { withNetwork } from './step-network.ts';
import { withoutCopies } from './bound-stacks.ts';
import { prepareUpper } from './prepare-upper.ts';
import type { RunStepParams, StepProgress } from './protocol.ts';
import { Trees } from './trees.ts';

/** This process's helpers. */
let servers: StepServers | undefined;
/** This process's copies of stacks. */
let trees: Trees | undefined;
const layerRoots = new LayerRoots();
/** The last of the steps that run one at a time. */
let last: Promise<unknown> = Promise.resolve();

/** Runs a step from this process, which must be in namespace A. */
export async function runStepHere({ uppers, ...spec }: RunStepParams, context: HandlerContext): Promise<ExitStatus> {
  const { plan } = context.config;
  refuseSteps(plan, spec.args.join(' '));
  for (const upper of uppers ?? []) prepareUpper(upper, context);
  giveSockets(spec.mounts ?? [], plan);
  if (!plan.copies) return runOverlaid(spec, context);
  if (plan.how !== 'none') return runInTree(withoutCopies(spec), context);
  // Steps that see each other's files and processes must not do so by chance.
  const turn = last.then(() => runInTree(spec, context));
  last = turn.catch(() => undefined);
  return turn;
}

/** Runs a step in an overlay, whose upper directory is left as its layer is. */
async function runOverlaid(spec: StepSpec, context: HandlerContext): Promise<ExitStatus> {
  const status = await runWith(withShallowStacks(spec, context.config), context, {});
  // The network has its files in /etc.
  const targets = ['/etc/hosts', ...(spec.mounts ?? []).map(({ target }) => target)];
  if (status.kind === 'exited') dropCopiedUp(spec.upper, spec.lowers, targets, context.config.plan.idShift, layerRoots);
  return status;
}

/** Runs a step in copies of its layers. */
async function runInTree(spec: StepSpec, context: HandlerContext): Promise<ExitStatus> {
  const tree = (trees ??= new Trees()).take(context, spec.lowers);
  try {
    const status = await runWith(spec, context, { tree });
    // A step that failed has no successor; one that was killed is not even compared.
    if (status.kind === 'exited' && status.code === 0) tree.keep(spec.upper);
    else tree.discard();
    return status;
  } catch (error) {
    tree.discard();
    throw error;
  }
}

function runWith(spec: StepSpec, context: HandlerContext, more: Pick<EncodeOptions, 'tree'>): Promise<ExitStatus> {
  const { helperPath } = context.config;
  return withNetwork(spec, context, (networked, signal) =>
    runStep({
      servers: (servers ??= new StepServers(helperPath)),
      encoded: encodeHere(networked, context.config, more),
      signal,
      onOutput: context.output,
      onUsage: (usage, filesInMemory) =>
        context.progress({ usage, ...(filesInMemory === undefined ? {} : { filesInMemory }) } satisfies StepProgress),
      ...(context.boundProc ? { onBoundProc: context.boundProc } : {}),
    }),
  );
}
