import fs from 'node:fs';
import { join } from 'node:path';
import {
  findUserNetworks,
  type LoneNetwork,
  memberNetwork,
  memberResolvConf,
  networkOfProcess,
  type NoUserNetwork,
} from '../network/index.ts';
import { hostsFile, type NamespacePlan, resolvConfOfHost } from '../sandbox/index.ts';
import type { Store } from '../store/index.ts';
import { TsbuildError } from '../util/index.ts';
import { attachmentsOf, joinText } from './attachments.ts';
import { BridgeLink, startBridge } from './bridge.ts';
import type { Network } from './network-types.ts';
import { Networks } from './networks.ts';
import { sharesProcesses } from './join-namespaces.ts';
import { isLive } from './state.ts';
import { Containers } from './table.ts';
import type { Container } from './types.ts';

/** What starting processes of networks takes. */
export interface NetworkMaker {
  readonly store: Store;
  readonly helperPath: string;
  readonly plan: NamespacePlan;
}

/** The networks of one container, at its start. The processes of its networks wait for it until this is disposed of. */
export interface JoinedNetworks extends Disposable {
  readonly network: LoneNetwork;
  /** Where the user namespace is found that it has to be in: {@link EnterOptions.beside}. */
  readonly beside: readonly string[];
  /** For /etc/hosts: its own name is not there, since its name server knows it. */
  readonly hosts: string;
}

/**
 * Makes ready what a container needs for its networks, or for that of another container.
 * @returns undefined for one that has neither
 * @throws TsbuildError when a network is gone or cannot be started, or the other container does not run
 */
export async function joinNetworks(
  maker: NetworkMaker,
  container: Container,
  onLeadsNowhere?: (why: NoUserNetwork) => void,
): Promise<JoinedNetworks | undefined> {
  const { record } = container;
  if (record.networkOf !== undefined) return networkOfAnother(maker, container, record.networkOf);
  if (record.networks === undefined) return undefined;
  const networks = new Networks(maker.store);
  const attachments = attachmentsOf(container);
  const found = attachments.map((attachment) => ({ attachment, network: networks.find(attachment.network) }));
  const links = await openNetworks(
    maker,
    found.map(({ network }) => network),
  );
  const wantsOutside = found.some(({ network }) => !network.record.internal);
  if (wantsOutside && !links.some((link) => link.hasOutside)) {
    const why = findUserNetworks();
    onLeadsNowhere?.(
      'reason' in why
        ? why
        : { reason: 'what connects it failed', fix: `see ${join(found[0]?.network.directory ?? '', 'bridge.log')}` },
    );
  }
  const { step } = record;
  return {
    network: memberNetwork({
      plan: maker.plan,
      directory: container.directory,
      sharesProcesses: sharesProcesses(record),
      hostname: step.hostname,
      joins: found.map(({ network, attachment }) => joinText(container, network, attachment)),
      ports: record.ports ?? [],
      resolvConf: step.resolvConf,
    }),
    beside: found.length > 0 ? found.map(({ network }) => network.directory) : relatives(maker.store),
    hosts: hostsFile('localhost', step.extraHosts ?? []),
    [Symbol.dispose]: () => {
      for (const link of links) link[Symbol.dispose]();
    },
  };
}

/** Connects to the processes of networks, and starts those that are missing. */
export async function openNetworks(maker: NetworkMaker, wanted: readonly Network[]): Promise<readonly BridgeLink[]> {
  const { store, helperPath, plan } = maker;
  const links: BridgeLink[] = [];
  // One after the other: the second finds the user namespace that was made for the first.
  await using _lock = await new Networks(store).lock();
  try {
    for (const network of wanted) {
      const there = await BridgeLink.open(network);
      links.push(there ?? (await startBridge({ network, helperPath, plan, beside: relatives(store) })));
    }
    return links;
  } catch (error) {
    for (const link of links) link[Symbol.dispose]();
    throw error;
  }
}

/** Whoever may be in the user namespace of networks: their own processes, and supervisors of containers that are in one. */
function relatives(store: Store): readonly string[] {
  const listens = ({ directory }: { readonly directory: string }): boolean => fs.existsSync(join(directory, 'socket'));
  const containers = new Containers(store).list().filter(({ record }) => record.networks !== undefined);
  return [...new Networks(store).list(), ...containers].filter(listens).map(({ directory }) => directory);
}

/** `--network container:NAME` */
async function networkOfAnother(maker: NetworkMaker, container: Container, id: string): Promise<JoinedNetworks> {
  const containers = new Containers(maker.store);
  const other = ownerOf(containers, container, id);
  const state = await containers.state(other);
  if (!isLive(state) || state.pid === 0)
    throw new TsbuildError(
      'TSB_STEP',
      `Cannot start ${container.name}: it uses the network of ${other.name}, which does not run`,
      {
        hint: `start that first: tsbuild start ${other.name}`,
      },
    );
  const { step, networks } = other.record;
  const machine = step.resolvConf ?? resolvConfOfHost();
  return {
    network: networkOfProcess(
      { directory: container.directory, sharesProcesses: sharesProcesses(container.record) },
      state.pid,
      networks === undefined || machine === undefined ? machine : memberResolvConf(machine),
    ),
    beside: [other.directory],
    hosts: hostsFile('localhost', container.record.step.extraHosts ?? []),
    [Symbol.dispose]: () => undefined,
  };
}

/** Who has the network of its own that a container uses, by way of others. */
export function ownerOf(containers: Containers, container: Pick<Container, 'id' | 'name'>, id: string): Container {
  const seen = new Set([container.id]);
  for (let next = id; ;) {
    const other = containers.lookUp(next);
    if (other === undefined)
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot use the network of container ${next.slice(0, 12)}: it is not there any more`,
        {
          hint:
            container.name === ''
              ? 'name another --network'
              : `make ${container.name} anew, with another --network: "tsbuild rm ${container.name}" takes this one away`,
        },
      );
    if (seen.has(other.id))
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use the network of container ${other.name}: it uses that of ${container.name}`,
      );
    seen.add(other.id);
    if (other.record.networkOf === undefined) return other;
    next = other.record.networkOf;
  }
}

/** Starts again the processes of networks that were killed while containers are in them, and waits until those are back. */
export async function mendNetworks(maker: NetworkMaker): Promise<void> {
  const containers = new Containers(maker.store).list().filter(({ record }) => record.networks !== undefined);
  if (containers.length === 0) return;
  const running: Container[] = [];
  for (const container of containers)
    if (
      fs.existsSync(join(container.directory, 'network.socket')) &&
      isLive(await new Containers(maker.store).state(container))
    )
      running.push(container);
  for (const network of new Networks(maker.store).list()) {
    const ids = running
      .filter((container) => attachmentsOf(container).some(({ network: name }) => name === network.name))
      .map(({ id }) => id);
    if (ids.length === 0) continue;
    const there = await BridgeLink.open(network);
    if (there !== undefined) {
      there[Symbol.dispose]();
      continue;
    }
    const [link] = await openNetworks(maker, [network]);
    await link?.await(ids);
    link?.[Symbol.dispose]();
  }
}
