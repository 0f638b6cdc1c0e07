import type { NamespacePlan } from '../sandbox/index.ts';
import { nameServiceOf, networkArguments } from './network-arguments.ts';
import { type PublishedPort, publishArguments } from './ports.ts';
import type { ProxyPlace } from './proxied-network.ts';
import { findUserNetworks, type NoUserNetwork } from './user-network.ts';

/** A network for one step or container, made beside it and gone with it. */
export interface LoneNetwork {
  /** `StepSpec.networkPath`. */
  readonly path: string;
  /** For /etc/resolv.conf; undefined where the machine has none. */
  readonly resolvConf: string | undefined;
  /** Arguments of the helper that run a command beside the network, in a namespace A whose first process is the parent. */
  readonly arguments: (command: readonly string[]) => readonly string[];
  /** Arguments of the helper that open its ports on the machine, outside of every namespace, and run a command which inherits them. */
  readonly publish: ((command: readonly string[]) => readonly string[]) | undefined;
  /** Why nothing in it reaches the outside; undefined where that is tried. */
  readonly leadsNowhere: NoUserNetwork | undefined;
}

/** What a network for one step is to have. */
export interface LoneNetworkOptions {
  /** What the machine passes on into it. */
  readonly ports?: readonly PublishedPort[];
  /** What it has in the place of a way outside. */
  readonly proxy?: ProxyPlace | undefined;
  /** Whoever runs its command waits for the status descriptor to be closed: that is to say that what came through ports is delivered. */
  readonly isWaitedFor?: boolean;
  /** Hardware address of its interface. */
  readonly mac?: string | undefined;
}

/**
 * Plans a network for one step.
 * @param directory gets a file, which stays when the network is gone
 */
export function loneNetwork(
  plan: Pick<NamespacePlan, 'idShift'>,
  directory: string,
  { ports = [], proxy, isWaitedFor = false, mac }: LoneNetworkOptions = {},
): LoneNetwork {
  const found = proxy === undefined ? findUserNetworks() : [];
  const outside = 'reason' in found ? undefined : found[0];
  const path = `${directory}/network`;
  const { resolvConf, resolver } = nameServiceOf(outside);
  return {
    path,
    resolvConf,
    arguments: (command) =>
      networkArguments(
        {
          at: path,
          parentPid: 1,
          plan,
          ports,
          resolver,
          mac,
          isWaitedFor,
          ...(outside ? { outside } : {}),
          ...(proxy ? { proxy } : {}),
        },
        command,
      ),
    publish: ports.length === 0 ? undefined : (command) => publishArguments(ports, command),
    leadsNowhere: 'reason' in found ? found : undefined,
  };
}
