import { type NamespacePlan, nameservers, resolvConfOfHost } from '../sandbox/index.ts';
import type { LoneNetwork } from './lone-network.ts';
import { type PublishedPort, publishArguments, relayArguments } from './ports.ts';

/** Where a container's name server is: docker's address, which configurations name. */
const NAME_SERVER = '127.0.0.11';

/** What a container's own network is made with when it joins others. */
export interface MemberNetworkOptions {
  readonly plan: Pick<NamespacePlan, 'idShift'>;
  /** The container's: gets a socket for requests, and a file. */
  readonly directory: string;
  readonly hostname: string;
  /** Texts with which it joins (native/src/member.c). */
  readonly joins: readonly string[];
  /** The container has no pid namespace around it. */
  readonly sharesProcesses?: boolean;
  readonly ports: readonly PublishedPort[];
  /** Content of /etc/resolv.conf that was asked for; its servers are asked for other names. */
  readonly resolvConf?: string | undefined;
}

/** A network namespace of a container's own, with interfaces in those networks that it joins (native/src/network.c). */
export function memberNetwork(options: MemberNetworkOptions): LoneNetwork {
  const { plan, directory, hostname, joins, ports } = options;
  const path = `${directory}/network`;
  const machine = options.resolvConf ?? resolvConfOfHost() ?? '';
  return {
    path,
    resolvConf: memberResolvConf(machine),
    arguments: (command) => [
      'network',
      '--parent',
      parentOf(options),
      '--at',
      path,
      '--root',
      String(plan.idShift),
      '--member',
      directory,
      '--hostname',
      hostname,
      ...joins.flatMap((text) => ['--join', text]),
      ...serversOf(machine).flatMap((server) => ['--upstream', server]),
      ...relayArguments(ports),
      '--',
      ...command,
    ],
    publish: ports.length === 0 ? undefined : (command) => publishArguments(ports, command),
    leadsNowhere: undefined,
  };
}

/** Who starts it: PID 1 of namespace A, if that has one. */
function parentOf({ sharesProcesses }: Pick<MemberNetworkOptions, 'sharesProcesses'>): string {
  return sharesProcesses ? '0' : '1';
}

/** The network of another container, by the number of one of its processes. */
export function networkOfProcess(
  { directory, sharesProcesses = false }: Pick<MemberNetworkOptions, 'directory' | 'sharesProcesses'>,
  pid: number,
  resolvConf: string | undefined,
): LoneNetwork {
  const path = `${directory}/network`;
  return {
    path,
    resolvConf,
    arguments: (command) => [
      'network',
      '--parent',
      parentOf({ sharesProcesses }),
      '--at',
      path,
      '--of',
      String(pid),
      '--',
      ...command,
    ],
    publish: undefined,
    leadsNowhere: undefined,
  };
}

/** What a container's resolver is told: its own name server, and the domains in which the machine looks names up. */
export function memberResolvConf(machine: string): string {
  const kept = machine.split('\n').filter((line) => /^\s*(?:search|domain)\s/.test(line));
  // Names of containers have no dots, and are to be asked for as they are.
  return [`nameserver ${NAME_SERVER}`, ...kept, 'options ndots:0', ''].join('\n');
}

function serversOf(resolvConf: string): readonly string[] {
  return nameservers(resolvConf).filter((server) => server !== NAME_SERVER && !server.includes('%'));
}
