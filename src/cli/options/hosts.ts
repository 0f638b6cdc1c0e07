import { TsbuildError } from '../../util/index.ts';

/**
 * Parses `--add-host` values as docker does: `NAME=IP` or `NAME:IP`, an IPv6 address with or without brackets; `host-gateway` is this
 * machine, for steps that share its network.
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseHosts(
  values: readonly string[],
): Promise<readonly { readonly host: string; readonly ip: string }[]> {
  if (values.length === 0) return [];
  const { isIP } = await import('node:net');
  return values.map((text) => {
    const [, host, written] = /^([^:=\s]+)[:=](.+)$/s.exec(text) ?? [];
    const ip = written === 'host-gateway' ? '127.0.0.1' : (written?.replace(/^\[(.*)\]$/, '$1') ?? '');
    // No zones, as in Go's net.ParseIP: what is in /etc/hosts holds for all interfaces.
    if (host === undefined || isIP(ip) === 0 || ip.includes('%'))
      throw new TsbuildError('TSB_USAGE', `Cannot use --add-host ${JSON.stringify(text)}: expected NAME=IP`);
    return { host, ip };
  });
}
