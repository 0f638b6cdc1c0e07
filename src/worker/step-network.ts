import { BuildNetwork, isJoinable } from '../network/index.ts';
import { type ExitStatus, resolvConfOfHost, type StepSpec } from '../sandbox/index.ts';
import { messageOf, TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';

/** This process's network for steps: all of a build's share it. */
let network: BuildNetwork | undefined;

function networkOf({ config: { helperPath, plan, privateDir } }: HandlerContext): BuildNetwork {
  return (network ??= new BuildNetwork({ helperPath, plan, directory: privateDir }));
}

/** Begins to make the network, for steps to come. */
export function prepareNetwork(_params: undefined, context: HandlerContext): void {
  if (context.config.plan.how !== 'none') networkOf(context).prepare();
}

/**
 * Runs a step in the network that it asks for: where there can be no isolated one, in the machine's, which the main process is told of.
 * @throws TsbuildError `TSB_SANDBOX` when the network ends before the step does: nothing that the step waits for could come any more
 */
export async function withNetwork(
  spec: StepSpec,
  context: HandlerContext,
  run: (spec: StepSpec, signal: AbortSignal) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const { signal } = context;
  if (spec.network !== 'isolated') return run(spec, signal);
  // Without any namespace, which its user was told of.
  if (context.config.plan.how === 'none')
    return run(withResolvConf({ ...spec, network: 'host' }, resolvConfOfHost()), signal);
  const joined = await networkOf(context).join();
  if (!isJoinable(joined)) {
    context.sharedNetwork?.(joined);
    return run(withResolvConf({ ...spec, network: 'host' }, resolvConfOfHost()), signal);
  }
  const isolated = withResolvConf({ ...spec, networkPath: joined.path }, joined.resolvConf);
  try {
    return await run(isolated, AbortSignal.any([signal, joined.lost]));
  } catch (error) {
    if (!joined.lost.aborted || signal.aborted) throw error;
    throw new TsbuildError('TSB_SANDBOX', `The network of the steps has ended: ${messageOf(joined.lost.reason)}`, {
      hint: 'build again: what has run is in the cache',
      cause: error,
    });
  }
}

/** A frontend's own file stays. */
function withResolvConf(spec: StepSpec, resolvConf: string | undefined): StepSpec {
  return resolvConf === undefined ? spec : { resolvConf, ...spec };
}
