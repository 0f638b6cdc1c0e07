import {
  askMember,
  attachmentsOf,
  type Container,
  isSupervised,
  joinText,
  mendNetworks,
  Networks,
  openNetworks,
  writeAttachments,
} from '../../containers/index.ts';
import { networkMaker } from '../../engine/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';
import { checkAddresses } from '../options/find-networks.ts';
import { checkAttachment } from '../options/network-request.ts';

/** Options of `network connect`. */
export interface NetworkConnectOptions {
  readonly alias?: readonly string[];
  readonly ip?: string;
  readonly ip6?: string;
  readonly macAddress?: string;
}

/** `tsbuild network connect` */
export async function networkConnectCommand(
  context: CliContext,
  name: string,
  containerName: string,
  { alias = [], ip, ip6, macAddress }: NetworkConnectOptions,
): Promise<number> {
  return withContainers(context, async ({ session, containers, signal }) => {
    const networks = new Networks(session.store);
    const network = name === 'bridge' ? await networks.findDefault() : networks.find(name);
    const container = containers.find(containerName);
    requireOwnNetwork(container, network.name);
    const attachment = checkAttachment({
      network: network.name,
      aliases: alias,
      ...(ip === undefined ? {} : { ip }),
      ...(ip6 === undefined ? {} : { ip6 }),
      ...(macAddress === undefined ? {} : { mac: macAddress }),
    });
    checkAddresses(network, attachment);
    await using _lock = await containers.lock(container, signal);
    const attachments = attachmentsOf(container);
    if (attachments.some((each) => each.network === network.name))
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot connect ${container.name} with network ${network.name}: it is in it`,
        {
          hint: `to change how, leave it first: tsbuild network disconnect ${network.name} ${container.name}`,
        },
      );
    if (await isSupervised(container)) {
      const maker = await networkMaker(session);
      await mendNetworks(maker);
      const [link] = await openNetworks(maker, [network]);
      using _link = link;
      await askMember(container, 'J', joinText(container, network, attachment));
    }
    writeAttachments(container, [...attachments, attachment]);
    return 0;
  });
}

/** `tsbuild network disconnect` */
export async function networkDisconnectCommand(
  context: CliContext,
  name: string,
  containerName: string,
  { force }: { readonly force?: boolean },
): Promise<number> {
  return withContainers(context, async ({ session, containers, signal }) => {
    const networks = new Networks(session.store);
    if (force && (networks.lookUp(name) === undefined || containers.lookUp(containerName) === undefined)) return 0;
    const network = networks.find(name);
    const container = containers.find(containerName);
    await using _lock = await containers.lock(container, signal);
    const attachments = attachmentsOf(container);
    if (!attachments.some((each) => each.network === network.name)) {
      if (force) return 0;
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot disconnect ${container.name} from network ${network.name}: it is not in it`,
      );
    }
    if (await isSupervised(container)) await leave(container, network.directory);
    writeAttachments(
      container,
      attachments.filter((each) => each.network !== network.name),
    );
    return 0;
  });
}

async function leave(container: Container, directory: string): Promise<void> {
  try {
    await askMember(container, 'L', directory);
  } catch (error) {
    // A command that was killed has left the record behind.
    if (!isTsbuildError(error) || !error.message.includes('not in it')) throw error;
  }
}

/** @throws TsbuildError `TSB_USAGE` for a container whose network belongs to somebody else, or to it alone */
function requireOwnNetwork({ name, record }: Container, network: string): void {
  if (record.networks !== undefined) return;
  const why =
    record.networkOf !== undefined
      ? 'its network is that of another container'
      : record.step.network === 'host'
        ? "its network is the machine's"
        : 'its network is its own alone';
  throw new TsbuildError('TSB_USAGE', `Cannot connect ${name} with network ${network}: ${why}`, {
    hint: `make it in one: tsbuild run --network ${network} …`,
  });
}
