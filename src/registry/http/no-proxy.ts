import { BlockList, isIP } from 'node:net';

/**
 * Whether `NO_PROXY` leaves a host out, as Go and curl read it: names with everything below them, `.domain`, `*.domain`, `host:port`,
 * addresses, ranges of addresses (`10.0.0.0/8`), and `*` for all. Nothing is looked up: ranges are for hosts that are addresses themselves.
 * @param list with commas or blanks between its entries
 */
export function isWithoutProxy(url: URL, list: string | undefined): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return (list ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || isMeant(entry, host, port));
}

function isMeant(entry: string, host: string, port: string): boolean {
  const range = /^(\[?[0-9a-f.:]+\]?)\/(\d{1,3})$/.exec(entry);
  if (range !== null) return isInRange(host, (range[1] ?? '').replace(/^\[|\]$/g, ''), Number(range[2]));
  // An address of IPv6 has colons of its own.
  const [, name = '', wanted] =
    /^(\[[^\]]*\]|[^:]*|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const bare = name.replace(/^\[|\]$/g, '').replace(/^\*?\./, '');
  return bare !== '' && (host === bare || (isIP(host) === 0 && host.endsWith(`.${bare}`)));
}

function isInRange(host: string, net: string, prefix: number): boolean {
  const family = isIP(net);
  if (family === 0 || isIP(host) !== family || prefix > (family === 4 ? 32 : 128)) return false;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  const range = new BlockList();
  range.addSubnet(net, prefix, kind);
  return range.check(host, kind);
}
