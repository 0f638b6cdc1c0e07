import { isIn, type Network, Networks, type NewNetwork } from '../../containers/index.ts';
import { contains, formatSubnet, parseAddress, parseSubnet } from '../../network/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, print, printForeign } from '../context.ts';
import { withContainers, type Work } from '../containers/each-container.ts';
import { eachName } from '../each-name.ts';
import { formatList } from '../lists/format-list.ts';
import { labelFields } from '../lists/label-fields.ts';
import { naturalOrder } from '../lists/natural-order.ts';
import { inspectTemplate } from '../lists/inspect-format.ts';
import { toJson } from '../go-template/index.ts';
import { parseNetworkFilters } from '../options/network-filters.ts';
import { describeNetworks } from '../containers/network-summary.ts';
import { parsePairs } from '../options/options.ts';
import { reportError } from '../report.ts';

/** Options of `network create`. */
export interface NetworkCreateOptions {
  readonly driver: string;
  readonly subnet?: readonly string[];
  readonly gateway?: readonly string[];
  readonly ipRange?: readonly string[];
  readonly internal?: boolean;
  readonly ipv6?: boolean;
  readonly label?: readonly string[];
  readonly opt?: readonly string[];
  readonly ignore?: boolean;
  readonly scope?: string;
}

/** `tsbuild network create` */
export async function networkCreateCommand(
  context: CliContext,
  name: string,
  options: NetworkCreateOptions,
): Promise<number> {
  const wanted = parseNetwork(context, options);
  return withContainers(context, async ({ session }) => {
    const networks = new Networks(session.store);
    const there = options.ignore ? networks.lookUp(name) : undefined;
    const { record } = there ?? (await networks.create(name, wanted));
    await print(context, `${record.id}\n`);
    return 0;
  });
}

function parseNetwork(context: CliContext, options: NetworkCreateOptions): NewNetwork {
  if (options.driver !== 'bridge')
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --driver ${JSON.stringify(options.driver)}: bridge is the only one`,
      {
        hint: 'containers on the network of the machine: tsbuild run --network host',
      },
    );
  const gateways = (options.gateway ?? []).map((text) => {
    const address = parseAddress(text);
    if (address === undefined)
      throw new TsbuildError('TSB_USAGE', `Cannot use --gateway ${JSON.stringify(text)}: expected an address`);
    return address;
  });
  const twice = gateways.find((gateway, at) => gateways.findIndex(({ family }) => family === gateway.family) < at);
  if (twice !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use several --gateway of IPv${twice.family}: a network has one`);
  const ranges = (options.ipRange ?? []).map(parseSubnet);
  const subnets = (options.subnet ?? []).map(parseSubnet).map((subnet) => {
    const gateway = gateways.find(({ family }) => family === subnet.family);
    const [range, other] = ranges.filter((each) => contains(subnet, each) && each.prefix >= subnet.prefix);
    if (other !== undefined)
      throw new TsbuildError('TSB_USAGE', `Cannot use several --ip-range of subnet ${formatSubnet(subnet)}`);
    return {
      subnet,
      ...(gateway === undefined ? {} : { gateway }),
      ...(range === undefined ? {} : { range }),
    };
  });
  const outside = ranges.find((range) => !subnets.some((each) => each.range === range));
  if (outside !== undefined)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --ip-range ${formatSubnet(outside)}: it is no part of a --subnet of this command`,
      { hint: 'for example --subnet 10.89.7.0/24 --ip-range 10.89.7.128/25' },
    );
  const lost = gateways.find(({ family }) => !subnets.some(({ subnet }) => subnet.family === family));
  if (lost !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use --gateway without a --subnet of IPv${lost.family} that it is in`);
  const scope = options.scope ?? context.env['TSBUILD_SCOPE'];
  return {
    subnets,
    ipv6: options.ipv6 ?? false,
    internal: options.internal ?? false,
    labels: Object.fromEntries(parsePairs('--label', options.label ?? [], () => '')),
    options: Object.fromEntries(parsePairs('--opt', options.opt ?? [])),
    ...(scope === undefined || scope === '' ? {} : { scope }),
  };
}

/** Options of `network ls`. */
export interface NetworkLsOptions {
  readonly quiet?: boolean;
  readonly trunc?: boolean;
  readonly format?: string;
  readonly filter?: readonly string[];
}

/** `tsbuild network ls` */
export async function networkLsCommand(context: CliContext, options: NetworkLsOptions): Promise<number> {
  return withContainers(context, async ({ session, containers }) => {
    const all = containers.list();
    const test = parseNetworkFilters(options.filter ?? [], context.now(), (network) =>
      all.some((container) => isIn(container, network)),
    );
    const networks = new Networks(session.store);
    const rows = networks
      .list()
      .filter(test)
      .map(({ name, record }) => ({
        ID: options.trunc === false ? record.id : record.id.slice(0, 12),
        Name: name,
        Driver: 'bridge',
        Scope: 'local',
        IPv6: String(record.subnets.some(({ subnet }) => subnet.includes(':'))),
        Internal: String(record.internal),
        CreatedAt: record.created,
        ...labelFields(record.labels),
      }))
      .toSorted((a, b) => naturalOrder(a.Name, b.Name));
    const text = options.quiet
      ? rows.map(({ ID }) => `${ID}\n`).join('')
      : formatList(options.format, {
          columns: [
            ['NETWORK ID', 'ID'],
            ['NAME', 'Name'],
            ['DRIVER', 'Driver'],
            ['SCOPE', 'Scope'],
          ],
          rows,
          json: rows,
        });
    await printForeign(context, text);
    return 0;
  });
}

/** `tsbuild network inspect` */
export async function networkInspectCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly format?: string },
): Promise<number> {
  const template = inspectTemplate(options.format);
  return withContainers(context, async (work) => {
    const networks = new Networks(work.session.store);
    const wanted: Network[] = [];
    const code = await eachName(context, names, async (name) => void wanted.push(networks.find(name)));
    const facts = wanted.length === 0 ? [] : await describeNetworks(work.session, wanted);
    if (template) for (const each of facts) await printForeign(context, `${template(each)}\n`);
    else await printForeign(context, `${toJson(facts, 4)}\n`);
    return code;
  });
}

/** `tsbuild network rm` */
export async function networkRmCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly force?: boolean },
): Promise<number> {
  return withContainers(context, async (work) => {
    const networks = new Networks(work.session.store);
    let code = 0;
    for (const name of names) {
      try {
        if (options.force && networks.lookUp(name) === undefined) continue;
        code = Math.max(code, await removeNetworks(context, work, [networks.find(name)]));
      } catch (error) {
        await reportError(context, error);
        code = 1;
      }
    }
    return code;
  });
}

/** Removes networks, and prints their names. @returns the exit code: 1 when containers are in one */
export async function removeNetworks(
  context: CliContext,
  { session, containers }: Work,
  networks: readonly Network[],
): Promise<number> {
  let code = 0;
  for (const network of networks) {
    try {
      await new Networks(session.store).remove(network, containers.list());
      await print(context, `${network.name}\n`);
    } catch (error) {
      await reportError(context, error);
      code = 1;
    }
  }
  return code;
}

/** `tsbuild network prune` */
export async function networkPruneCommand(
  context: CliContext,
  options: { readonly filter?: readonly string[] },
): Promise<number> {
  return withContainers(context, async (work) => {
    const all = work.containers.list();
    const test = parseNetworkFilters(options.filter ?? [], context.now(), () => false);
    const unused = new Networks(work.session.store)
      .removable()
      .filter((network) => test(network) && !all.some((container) => isIn(container, network)));
    return removeNetworks(context, work, unused);
  });
}
