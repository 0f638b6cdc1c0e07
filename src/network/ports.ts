import { isIP } from 'node:net';
import { TsbuildError } from '../util/index.ts';

/** A port of a container that is one of the machine's, too. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** Address of the machine to listen at; undefined for all, of both families. */
  readonly hostIp: string | undefined;
  /** 0: any that is free. */
  readonly hostPort: number;
  /** Where it was asked for the first free one of a range, that range's last; `hostPort` is its first. */
  readonly hostPortEnd?: number;
  readonly containerPort: number;
}

interface Range {
  readonly first: number;
  readonly count: number;
}

/**
 * Parses `-p [[IP:][HOST]:]CONTAINER[/udp]` of docker run. Both ports may be ranges of the same length; one port of the container may have a
 * range of the machine's, of which it gets the first that is free.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parsePublish(text: string): readonly PublishedPort[] {
  const bad = (why: string, hint = 'for example -p 8080:80, -p 127.0.0.1:5353:53/udp, -p 0:80'): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot publish ${JSON.stringify(text)}: ${why}`, { hint });
  const [, bracketed, plain, host, inside = '', named = ''] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):(?=[^:]*:))?(?:([^:]*):)?([^:/]+)(?:\/(.*))?$/.exec(text) ?? [];
  const protocol = named.toLowerCase() || 'tcp';
  if (inside === '') throw bad('expected [[IP:]HOST:]CONTAINER[/udp]');
  if (protocol !== 'tcp' && protocol !== 'udp') throw bad(`there is no protocol ${JSON.stringify(named)}`);
  const hostIp = bracketed ?? (plain || undefined);
  if (hostIp !== undefined && isIP(hostIp) !== (bracketed === undefined ? 4 : 6))
    throw bad(`${JSON.stringify(hostIp)} is no IP address`, 'IPv6 addresses stand in brackets: -p [::1]:8080:80');
  const container = parseRange(inside, 1);
  if (container === undefined) throw bad(`${JSON.stringify(inside)} is no port`);
  const outside = host ? parseRange(host, 0) : { first: 0, count: container.count };
  // One free port for each of several is what a single 0 says.
  const anyFree = outside?.first === 0;
  if (outside === undefined || (anyFree && host?.includes('-'))) throw bad(`${JSON.stringify(host)} is no port`);
  if (container.count === 1 && outside.count > 1)
    return [
      {
        protocol,
        hostIp,
        hostPort: outside.first,
        hostPortEnd: outside.first + outside.count - 1,
        containerPort: container.first,
      },
    ];
  if (!anyFree && outside.count !== container.count) throw bad('the ranges have different lengths');
  return Array.from({ length: container.count }, (_, index) => ({
    protocol,
    hostIp,
    hostPort: anyFree ? 0 : outside.first + index,
    containerPort: container.first + index,
  }));
}

/** `80` or `8000-8010`. */
function parseRange(text: string, least: number): Range | undefined {
  const [, from = '', to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const first = Number(from);
  const last = Number(to);
  return from === '' || first < least || last > 65_535 || last < first ? undefined : { first, count: last - first + 1 };
}

/** `-P`: what an image says that it listens at (`EXPOSE`), each at any free port. What it says wrongly, nobody can listen at. */
export function exposedPorts(exposed: Readonly<Record<string, unknown>> | undefined): readonly PublishedPort[] {
  return Object.keys(exposed ?? {}).flatMap((name) => {
    try {
      return parsePublish(name.includes(':') ? '' : name);
    } catch {
      return [];
    }
  });
}

/** The port as messages have it: `80/tcp`. */
export function portName({ containerPort, protocol }: PublishedPort): string {
  return `${containerPort}/${protocol}`;
}

/** The port of the machine, or the range of which one is taken, as it was asked for: `8080`, `8000-9000`, `0`. */
export function askedPort({ hostPort, hostPortEnd }: PublishedPort): string {
  return hostPortEnd === undefined ? String(hostPort) : `${hostPort}-${hostPortEnd}`;
}

/** Whether it is chosen at each start which port of the machine it is. */
export function isChosen({ hostPort, hostPortEnd }: PublishedPort): boolean {
  return hostPort === 0 || hostPortEnd !== undefined;
}

/** First descriptor of the listening sockets that the helper opens (native/src/publish.c). */
const FIRST_FD = 5;

/** Arguments of the helper that open the ports on the machine and run a command which inherits them. */
export function publishArguments(ports: readonly PublishedPort[], command: readonly string[]): readonly string[] {
  const options = ports.flatMap((port) => [`--${port.protocol}`, port.hostIp ?? '*', askedPort(port)]);
  return ['publish', ...options, '--', ...command];
}

/** Arguments of `network` that have what comes in there passed on. */
export function relayArguments(ports: readonly PublishedPort[]): readonly string[] {
  return ports.flatMap(({ protocol, containerPort }, index) => [
    '--relay',
    `${protocol}:${FIRST_FD + index}:${containerPort}`,
  ]);
}
