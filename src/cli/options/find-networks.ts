import {
  type Attachment,
  type ContainerRecord,
  Containers,
  DEFAULT_NETWORK,
  type Network,
  Networks,
  ownerOf,
} from '../../containers/index.ts';
import type { Session } from '../../engine/index.ts';
import { contains, parseAddress, parseSubnet } from '../../network/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { parseNetworkChoice, type SharedNetworkOptions } from './network-request.ts';

/** @throws TsbuildError `TSB_USAGE` when an address that is asked for is not one of the network's */
export function checkAddresses({ name, record }: Network, { ip, ip6 }: Attachment): void {
  for (const text of [ip, ip6]) {
    const address = text === undefined ? undefined : parseAddress(text);
    if (address === undefined) continue;
    if (record.subnets.some(({ subnet }) => contains(parseSubnet(subnet), address))) continue;
    throw new TsbuildError('TSB_USAGE', `Cannot use address ${text}: it is none of network ${name}`, {
      hint: `its addresses are those of ${record.subnets.map(({ subnet }) => subnet).join(' and ')}`,
    });
  }
}

/** What a container's record says of its network. */
export type RecordedNetworks = Pick<ContainerRecord, 'networks' | 'networkOf' | 'mac'> & {
  /** Its network is the machine's, as that of the other container is. */
  readonly host?: true;
  /** That of the other container, whose network it uses. */
  readonly hostname?: string;
};

/**
 * Looks up what was asked for.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`
 */
export async function findNetworks(
  session: Session,
  options: SharedNetworkOptions & { readonly hostname?: string },
): Promise<RecordedNetworks> {
  const choice = parseNetworkChoice(options);
  if (choice.kind === 'container') {
    const containers = new Containers(session.store);
    const { id } = containers.find(choice.name);
    const { record } = ownerOf(containers, { id: '', name: '' }, id);
    if (options.hostname !== undefined)
      throw new TsbuildError(
        'TSB_USAGE',
        'Cannot use --hostname: the network, and its names, are those of another container',
      );
    return record.step.network === 'host' ? { host: true } : { networkOf: id, hostname: record.step.hostname };
  }
  if (choice.kind === 'private' && choice.mac !== undefined) return { mac: choice.mac };
  if (choice.kind !== 'shared') return {};
  const networks = new Networks(session.store);
  const found: Attachment[] = [];
  for (const join of choice.joins) {
    const network = join.network === DEFAULT_NETWORK ? await networks.findDefault() : networks.find(join.network);
    checkAddresses(network, join);
    found.push({ ...join, network: network.name });
  }
  return { networks: found };
}
