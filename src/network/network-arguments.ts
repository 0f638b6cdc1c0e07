import type { NamespacePlan } from '../sandbox/index.ts';
import { type PublishedPort, relayArguments } from './ports.ts';
import type { UserNetwork } from './user-network.ts';

/** Where the machine's own resolver answers in a network that pasta connects: an address that no machine has. */
const PASTA_RESOLVER = '169.254.1.1';
/** The same with slirp4netns, which has chosen it itself. */
const SLIRP_RESOLVER = '10.0.2.3';

/** What the helper makes a network from. */
export interface NetworkOptions {
  /** A path in namespace A that the namespace is bound to. Made when missing; what makes it removes it. */
  readonly at: string;
  /** The process that it must not outlive, as namespace A numbers it. */
  readonly parentPid: number;
  readonly plan: Pick<NamespacePlan, 'idShift'>;
  /** What connects it with the machine's network. Without it there is a loopback interface and nothing else. */
  readonly outside?: UserNetwork;
  /** Ports whose sockets the helper inherits (`publishArguments`). */
  readonly ports?: readonly PublishedPort[];
}

/**
 * Arguments of the helper, which must be in namespace A, for a network (native/src/network.c).
 * @param command what is run beside it; the network ends with it. Without one it says that it is ready, and stays.
 */
export function networkArguments(options: NetworkOptions, command: readonly string[] = []): readonly string[] {
  const { at, parentPid, plan, outside } = options;
  return [
    'network',
    '--parent',
    String(parentPid),
    '--at',
    at,
    // Of root's ids, that of an image's root, which owns nothing on the machine: where the device is open to it.
    ...(outside?.anybody === false ? [] : ['--root', String(plan.idShift)]),
    ...(outside === undefined ? [] : [`--${outside.kind}`, outside.program]),
    ...(outside?.kind === 'pasta' ? ['--dns', PASTA_RESOLVER] : []),
    ...relayArguments(options.ports ?? []),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

/** The address in a network at which the machine's own resolver answers. */
export function resolverOf({ kind }: UserNetwork): string {
  return kind === 'pasta' ? PASTA_RESOLVER : SLIRP_RESOLVER;
}
