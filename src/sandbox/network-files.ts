import type { ExtraHost } from './types.ts';

/** /etc/hosts of a step, as BuildKit writes it. */
export function hostsFile(hostname: string, extraHosts: readonly ExtraHost[]): string {
  const lines = [
    ...(hostname === 'localhost' ? ['127.0.0.1\tlocalhost'] : [`127.0.0.1\tlocalhost ${hostname}`]),
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extraHosts.map(({ host, ip }) => `${ip}\t${host}`),
  ];
  return `${lines.join('\n')}\n`;
}

const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4', '2001:4860:4860::8888', '2001:4860:4860::8844'] as const;

/** Where systemd-resolved keeps the servers that its local stub asks. */
export const resolvedConfPath = '/run/systemd/resolve/resolv.conf';

/**
 * Whether a resolv.conf names only the local stub of systemd-resolved, in which case the file at `resolvedConfPath` has the
 * real servers.
 */
export function isResolvedStub(resolvConf: string): boolean {
  const servers = nameservers(resolvConf);
  return servers.length > 0 && servers.every((server) => server === '127.0.0.53');
}

/**
 * /etc/resolv.conf of a step, made from the machine's. In the machine's own network everything in it works, loopback
 * servers too. In a network of its own, servers on loopback are not there: they go, and in the place of the last comes what
 * asks the machine's resolver in the step's stead, or else public ones (as BuildKit does).
 * @param forwarder the address of the former
 */
export function resolvConfFor(network: 'host' | 'private', machine: string, forwarder?: string): string {
  if (network === 'host') return machine;
  const kept = machine
    .split('\n')
    .filter((line) => !/^\s*nameserver\s+(?:127\.|::1\b|0*:0*:0*:0*:0*:0*:0*:0*1\b)/.test(line))
    .join('\n');
  if (nameservers(kept).length > 0) return kept;
  const servers = (forwarder === undefined ? PUBLIC_SERVERS : [forwarder])
    .map((server) => `nameserver ${server}\n`)
    .join('');
  return `${kept.trimEnd()}${kept.trim() === '' ? '' : '\n'}${servers}`;
}

/** The servers that a resolv.conf names. A line without one says nothing, and what follows it is another line. */
export function nameservers(resolvConf: string): readonly string[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map((match) => match[1] ?? '');
}
