import { type NamespacePlan, resolvConfOfHost } from '../sandbox/index.ts';
import { type PublishedPort, relayArguments } from './ports.ts';
import type { UserNetwork } from './user-network.ts';

/** Where the machine's own resolver can answer in a network: with pasta at an address that no machine has, with slirp4netns at one that it has chosen. */
const RESOLVERS = { pasta: '169.254.1.1', slirp4netns: '10.0.2.3' } as const;

/** What the helper makes a network from. */
export interface NetworkOptions {
  /** A path in namespace A that the namespace is bound to. Made when missing; what makes it removes it. */
  readonly at: string;
  /** The process that it must not outlive, as namespace A numbers it. */
  readonly parentPid: number;
  readonly plan: Pick<NamespacePlan, 'idShift'>;
  /** What connects it with the machine's network. Without it there is a loopback interface and nothing else. */
  readonly outside?: UserNetwork;
  /** Where the machine's resolver is to answer in it ({@link nameServiceOf}); undefined for nowhere. */
  readonly resolver?: string | undefined;
  /** Hardware address of the interface that leads outside; undefined for any. */
  readonly mac?: string | undefined;
  /** The status descriptor stays open until its end. */
  readonly isWaitedFor?: boolean;
  /** What its loopback interface has in the place of a way outside. */
  readonly proxy?: { readonly port: number; readonly socket: string };
  /** Ports whose sockets the helper inherits (`publishArguments`). */
  readonly ports?: readonly PublishedPort[];
}

/**
 * Arguments of the helper, which must be in namespace A, for a network (native/src/network.c).
 * @param command what is run beside it; the network ends with it. Without one it says that it is ready, and stays.
 */
export function networkArguments(options: NetworkOptions, command: readonly string[] = []): readonly string[] {
  const { at, parentPid, plan, outside, resolver, mac, proxy } = options;
  return [
    'network',
    '--parent',
    String(parentPid),
    '--at',
    at,
    // Of root's ids, that of an image's root, which owns nothing on the machine: where the device is open to it.
    ...(outside?.anybody === false ? [] : ['--root', String(plan.idShift)]),
    ...(outside === undefined ? [] : [`--${outside.kind}`, outside.program]),
    ...(outside?.kind === 'pasta' && resolver !== undefined ? ['--dns', resolver] : []),
    ...(outside === undefined || mac === undefined ? [] : ['--mac', mac]),
    ...(options.isWaitedFor ? ['--waited-for', '1'] : []),
    ...(proxy === undefined ? [] : ['--proxy', `${proxy.port}:${proxy.socket}`]),
    ...relayArguments(options.ports ?? []),
    ...(command.length === 0 ? [] : ['--', ...command]),
  ];
}

/** How names are resolved in a network. */
export interface NameService {
  /** For /etc/resolv.conf; undefined where the machine has none. */
  readonly resolvConf: string | undefined;
  /** The address in the network at which the machine's own resolver answers; undefined when nobody asks there. */
  readonly resolver: string | undefined;
}

/**
 * How names are resolved in a network, by the machine's own servers where those can be reached from it. Only where they cannot does
 * something answer in their stead: a pasta that was told to (`--dns-forward`) says of all answers of the machine's server that they come
 * from there, so that whoever has asked the server itself never gets one (passt 2023-03).
 * @param machine what makes a resolv.conf for a network of its own of the machine's
 */
export function nameServiceOf(
  outside: UserNetwork | undefined,
  machine: (forwarder: string | undefined) => string | undefined = (forwarder) =>
    resolvConfOfHost('private', forwarder),
): NameService {
  const forwarder = outside && RESOLVERS[outside.kind];
  const resolvConf = machine(forwarder);
  const isAsked = forwarder !== undefined && resolvConf?.split('\n').includes(`nameserver ${forwarder}`);
  return { resolvConf, resolver: isAsked === true ? forwarder : undefined };
}
