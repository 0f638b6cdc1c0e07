import { DEFAULT_NETWORK } from '../../containers/index.ts';
import {
  exposedPorts,
  isChosen,
  type NoUserNetwork,
  parsePublish,
  portName,
  type PublishedPort,
} from '../../network/index.ts';
import type { RunContainerOptions } from '../../runtime/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { changesNetwork } from './sysctl-option.ts';
import { type NetworkChoice, parseNetworkChoice, type SharedNetworkOptions } from './network-request.ts';

/** Options of `run` about networks, as commander gives them. */
export interface NetworkOptions extends SharedNetworkOptions {
  readonly publish?: readonly string[];
  readonly publishAll?: boolean;
  readonly expose?: readonly string[];
  readonly sysctl?: readonly string[];
}

/** A network that was asked for. */
export interface NetworkRequest {
  readonly mode: 'host' | 'none' | 'isolated';
  readonly ports: readonly PublishedPort[];
  /** Hardware address in a network of the container's own alone. */
  readonly mac?: string;
}

/**
 * Understands what was typed, before an image is looked for. Published ports and parameters of networks belong to a network of its own, so that
 * they decide where nothing else is said.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseNetwork(options: NetworkOptions): NetworkRequest {
  const ports = (options.publish ?? []).flatMap(parsePublish);
  checkTwice(ports);
  parseExpose(options.expose);
  const publishes = ports.length > 0 || options.publishAll === true;
  const wantsOwn = publishes || changesNetwork(options.sysctl);
  const choice = parseNetworkChoice(options);
  if (choice.kind === 'container' && publishes)
    throw new TsbuildError('TSB_USAGE', 'Cannot publish ports of a network that belongs to another container', {
      hint: `publish them where that is made: tsbuild run -p … --name ${choice.name}`,
    });
  const mac = choice.kind === 'private' ? choice.mac : undefined;
  return { mode: modeOf(choice, wantsOwn), ports, ...(mac === undefined ? {} : { mac }) };
}

/**
 * The ports of a container. As with docker, `-P` publishes what `-p` does not, and each once.
 * @param exposed what its image says that it listens at
 */
export function publishedPorts(
  options: NetworkOptions,
  exposed: Readonly<Record<string, unknown>> | undefined,
): readonly PublishedPort[] {
  const { ports } = parseNetwork(options);
  if (!options.publishAll) return ports;
  const named = new Set(ports.map(portName));
  const others = exposedPorts(exposed).concat(parseExpose(options.expose));
  const once = new Map(others.map((port) => [portName(port), port]));
  return [...ports, ...[...once].flatMap(([name, port]) => (named.has(name) ? [] : [port]))];
}

/** `--expose 80`, `--expose 53/udp` and `--expose 8000-8010`, as images have them. @throws TsbuildError `TSB_USAGE` */
export function parseExpose(texts: readonly string[] = []): readonly PublishedPort[] {
  return texts.flatMap((text) => {
    const ports = exposedPorts({ [text.toLowerCase()]: {} });
    if (ports.length > 0) return ports;
    throw new TsbuildError('TSB_USAGE', `Cannot use --expose ${JSON.stringify(text)}`, {
      hint: 'for example 80, 53/udp or 8000-8010',
    });
  });
}

/** Where a port of the machine is, as `docker port` prints it. */
export function hostAddress({ hostIp = '0.0.0.0', hostPort }: PublishedPort): string {
  return `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${hostPort}`;
}

/** Says what there is to say of a container's network. */
export function networkReports(context: CliContext): Required<Pick<RunContainerOptions, 'onPort' | 'onLeadsNowhere'>> {
  return {
    onPort: (port, hostPort) => {
      // The others are known to who typed them.
      if (isChosen(port))
        context.stderr.write(`${portName(port)} is published at ${hostAddress({ ...port, hostPort })}\n`);
    },
    onLeadsNowhere: ({ reason, fix }: NoUserNetwork) =>
      context.stderr.write(`warning: the container's network leads nowhere outside: ${reason} (fix: ${fix})\n`),
  };
}

/** Docker passes over ports that belong to no network of the container's own. */
export function warnOfPorts(context: CliContext, options: NetworkOptions): void {
  const { mode, ports } = parseNetwork(options);
  if (mode !== 'isolated' && (ports.length > 0 || options.publishAll))
    context.stderr.write(`warning: no port is published: the container's network is ${mode}\n`);
}

function modeOf({ kind }: NetworkChoice, wantsOwn: boolean): NetworkRequest['mode'] {
  if (kind === undefined) return wantsOwn ? 'isolated' : 'host';
  return kind === 'host' || kind === 'none' ? kind : 'isolated';
}

/** Whether the container is in networks that others are in: it has a supervisor then, by which it is found. */
export function sharesNetworks(options: NetworkOptions): boolean {
  const { kind } = parseNetworkChoice(options);
  return kind === 'shared' || kind === 'container';
}

/**
 * What a container joins that others may ask for: with published ports or parameters of networks, and no `--network` it is in the default network, as with docker. One way
 * outside serves all of these: pasta takes 29 MB for each network.
 */
export function withDefaultNetwork<T extends NetworkOptions>(options: T): T {
  const { publish = [], publishAll, sysctl } = options;
  const wantsOwn = publish.length > 0 || publishAll === true || changesNetwork(sysctl);
  return wantsOwn && parseNetworkChoice(options).kind === undefined
    ? { ...options, network: [DEFAULT_NETWORK] }
    : options;
}

/** The kernel would say the same of the second, without a word about the first. */
function checkTwice(ports: readonly PublishedPort[]): void {
  const seen = new Set<string>();
  for (const port of ports) {
    const { protocol, hostIp = '*', hostPort } = port;
    if (isChosen(port)) continue;
    const key = `${hostIp}:${hostPort}/${protocol}`;
    if (seen.has(key)) throw new TsbuildError('TSB_USAGE', `Cannot publish port ${hostPort}/${protocol} twice`);
    seen.add(key);
  }
}
