import { BuildNetwork, isJoinable, type JoinableNetwork, proxiedNetwork } from '../network/index.ts';
import { resolvConfOfHost, type StepSpec } from '../sandbox/index.ts';
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
 * Runs a step, or a container, in the network that it asks for: where there can be no isolated one, in the machine's, which the main process is told of.
 * @throws TsbuildError `TSB_SANDBOX` when the network ends before the step does: nothing that the step waits for could come any more; and
 * where there can be no network of the step's own that has a proxy only
 */
export async function withNetwork<T>(
  spec: StepSpec,
  context: HandlerContext,
  run: (spec: StepSpec, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal } = context;
  if (spec.network === 'proxied') return withProxy(spec, context, run);
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
  return whileConnected(joined, signal, (until) => run(isolated, until));
}

/** Never with a part of the machine's network: a step would come to what nobody has written down. */
async function withProxy<T>(
  spec: StepSpec,
  { config: { plan, helperPath, privateDir }, signal }: HandlerContext,
  run: (spec: StepSpec, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (spec.proxy === undefined) throw new TsbuildError('TSB_INTERNAL', 'A step in a network with a proxy has none');
  if (plan.how === 'none')
    throw new TsbuildError('TSB_SANDBOX', 'Cannot record the network of a step here: there are no network namespaces', {
      hint: 'see what would lift that with "tsbuild doctor", or build without --network=record and --network=locked',
    });
  await using made = await proxiedNetwork({ helperPath, plan, directory: privateDir }, spec.proxy);
  try {
    const joined = withResolvConf({ ...spec, networkPath: made.path }, made.resolvConf);
    return await whileConnected(made, signal, (until) => run(joined, until));
  } finally {
    const { MNT_DETACH, umount } = await import('../sys/index.ts');
    umount(made.path, MNT_DETACH);
  }
}

/** @throws TsbuildError `TSB_SANDBOX` when the network was lost */
async function whileConnected<T>(
  { lost }: JoinableNetwork,
  signal: AbortSignal,
  run: (until: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await run(AbortSignal.any([signal, lost]));
  } catch (error) {
    if (!lost.aborted || signal.aborted) throw error;
    throw new TsbuildError('TSB_SANDBOX', `The network of the steps has ended: ${messageOf(lost.reason)}`, {
      hint: 'build again: what has run is in the cache',
      cause: error,
    });
  }
}

/** A frontend's own file stays. */
function withResolvConf(spec: StepSpec, resolvConf: string | undefined): StepSpec {
  return resolvConf === undefined ? spec : { resolvConf, ...spec };
}
