import {
  attachmentsOf,
  BridgeLink,
  type Container,
  type ContainerState,
  DEFAULT_NETWORK,
  isLive,
  mendNetworks,
  type Network,
  type NetworkMember,
  Networks,
  readPorts,
} from '../../containers/index.ts';
import { networkMaker, type Session } from '../../engine/index.ts';
import { portName } from '../../network/index.ts';
import type { Store } from '../../store/index.ts';

/** What networks are, and who is in them now. Those whose process has died get a new one first. */
export async function describeNetworks(
  session: Session,
  networks: readonly Network[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  await mendNetworks(await networkMaker(session));
  const facts: Readonly<Record<string, unknown>>[] = [];
  for (const network of networks) {
    using link = await BridgeLink.open(network);
    facts.push(summarizeNetwork(network, link?.members ?? []));
  }
  return facts;
}

/** What `docker network inspect` says of a network, as far as it is true of one here. */
export function summarizeNetwork(
  { name, record }: Network,
  members: readonly NetworkMember[],
): Readonly<Record<string, unknown>> {
  return {
    Name: name,
    Id: record.id,
    Created: record.created,
    Scope: 'local',
    Driver: 'bridge',
    EnableIPv4: true,
    EnableIPv6: record.subnets.some(({ subnet }) => subnet.includes(':')),
    IPAM: {
      Driver: 'default',
      Options: {},
      Config: record.subnets.map(({ subnet, gateway, range }) => ({
        Subnet: subnet,
        ...(range === undefined ? {} : { IPRange: range }),
        Gateway: gateway,
      })),
    },
    Internal: record.internal,
    Attachable: true,
    Ingress: false,
    Containers: new Map(
      members.map((member): [string, unknown] => [
        member.id,
        {
          Name: member.name,
          MacAddress: member.mac,
          IPv4Address: withPrefix(member.ip, record.subnets),
          IPv6Address: withPrefix(member.ip6, record.subnets),
        },
      ]),
    ),
    Options: new Map(Object.entries(record.options)),
    Labels: new Map(Object.entries(record.labels)),
  };
}

/** `NetworkSettings` of `docker inspect`. One that does not run has no ports of the machine. */
export async function summarizeSettings(
  store: Store,
  container: Container,
  state: ContainerState,
): Promise<Readonly<Record<string, unknown>>> {
  const got = isLive(state) ? readPorts(container) : [];
  const ports = [...Map.groupBy(got, portName)].map(([name, same]): [string, unknown] => [
    name,
    same.map(({ hostIp, hostPort }) => ({ HostIp: hostIp ?? '0.0.0.0', HostPort: String(hostPort) })),
  ]);
  const networks = await summarizeMembership(store, container);
  // Docker's older fields are those of the default network; the others tell their own.
  const { IPAddress, IPPrefixLen, Gateway, GlobalIPv6Address, GlobalIPv6PrefixLen, IPv6Gateway, MacAddress } =
    networks.get(DEFAULT_NETWORK) ?? NOWHERE;
  return {
    Ports: new Map(ports),
    IPAddress,
    IPPrefixLen,
    Gateway,
    GlobalIPv6Address,
    GlobalIPv6PrefixLen,
    IPv6Gateway,
    MacAddress: container.record.mac ?? MacAddress,
    Networks: networks,
  };
}

/** Addresses of a container in a network. */
interface Place {
  readonly MacAddress: string;
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly GlobalIPv6PrefixLen: number;
  readonly IPv6Gateway: string;
}

const NOWHERE: Place = {
  MacAddress: '',
  IPAddress: '',
  IPPrefixLen: 0,
  Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  IPv6Gateway: '',
};

/** `NetworkSettings.Networks` of `docker inspect`: where a container is, and with which addresses while it runs. */
async function summarizeMembership(store: Store, container: Container): Promise<ReadonlyMap<string, Place>> {
  const networks = new Networks(store);
  const facts: [string, Place & Readonly<Record<string, unknown>>][] = [];
  for (const attachment of attachmentsOf(container)) {
    const network = networks.lookUp(attachment.network);
    if (network === undefined) continue;
    using link = await BridgeLink.open(network);
    const member = link?.members.find(({ id }) => id === container.id);
    const gateway = (v6: boolean): string =>
      member === undefined
        ? ''
        : (network.record.subnets.find(({ subnet }) => subnet.includes(':') === v6)?.gateway ?? '');
    facts.push([
      network.name,
      {
        IPAMConfig: {
          ...(attachment.ip === undefined ? {} : { IPv4Address: attachment.ip }),
          ...(attachment.ip6 === undefined ? {} : { IPv6Address: attachment.ip6 }),
        },
        Aliases: attachment.aliases,
        DNSNames: [container.name, ...attachment.aliases, container.id.slice(0, 12)],
        NetworkID: network.record.id,
        MacAddress: member?.mac ?? '',
        IPAddress: member?.ip ?? '',
        IPPrefixLen: member?.ip === undefined ? 0 : prefixOf(network.record.subnets, false),
        Gateway: gateway(false),
        GlobalIPv6Address: member?.ip6 ?? '',
        GlobalIPv6PrefixLen: member?.ip6 === undefined ? 0 : prefixOf(network.record.subnets, true),
        IPv6Gateway: gateway(true),
      },
    ]);
  }
  return new Map(facts);
}

function prefixOf(subnets: Network['record']['subnets'], v6: boolean): number {
  return Number(subnets.find(({ subnet }) => subnet.includes(':') === v6)?.subnet.split('/')[1] ?? 0);
}

function withPrefix(address: string | undefined, subnets: Network['record']['subnets']): string {
  return address === undefined ? '' : `${address}/${prefixOf(subnets, address.includes(':'))}`;
}
