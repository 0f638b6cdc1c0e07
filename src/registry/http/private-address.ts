import { isIP } from 'node:net';

/** Where an address is. A registry on the internet has no business to send us to a private one. */
export type AddressKind = 'name' | 'public' | 'private' | 'loopback' | 'forbidden';

/**
 * What a URL's host name stands for, judged by its spelling alone (names are not looked up). `forbidden` is what never
 * has a registry's helper behind it: link-local (cloud metadata), metadata services elsewhere, unspecified, multicast.
 * @param hostname as `URL.hostname` gives it, i.e. with exotic IPv4 spellings already normalised and IPv6 in brackets
 */
export function addressKind(hostname: string): AddressKind {
  // The dot at the end of a name that is complete changes nothing about it.
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '').toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  switch (isIP(host)) {
    case 4:
      return kindOfIPv4(host.split('.').map(Number));
    case 6:
      return kindOfIPv6(oneSpelling(host));
    default:
      return 'name';
  }
}

/**
 * An address in the one spelling that it is compared in: an IPv4 address that is written as an IPv6 one (`::ffff:127.0.0.1`, RFC 4291 2.5.5.2)
 * is that, since connecting to either is the same.
 */
export function plainAddress(address: string): string {
  const mapped = isIP(address) === 6 ? ipv4Within(oneSpelling(address)) : undefined;
  return mapped?.join('.') ?? (isIP(address) === 6 ? oneSpelling(address) : address);
}

/** An IPv6 address as URLs have it, without brackets: resolvers give `::ffff:7f00:1` with its end in decimal numbers. */
function oneSpelling(address: string): string {
  const url = `http://[${address}]/`;
  // With a zone it can be in no URL.
  return (URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address).toLowerCase();
}

/** Metadata services that are not link-local: EC2's over IPv6, Alibaba's, in the order of bytes. */
const METADATA_IPV4 = [100, 100, 100, 200];
const METADATA_IPV6 = ['fd00:ec2::254'];

/** By the ranges of the IANA special-purpose registry (RFC 6890). */
function kindOfIPv4(address: readonly number[]): AddressKind {
  const [a = 0, b = 0] = address;
  if (a === 127) return 'loopback';
  if (METADATA_IPV4.every((byte, at) => byte === address[at])) return 'forbidden';
  if (a === 0 || a >= 224 || (a === 169 && b === 254)) return 'forbidden';
  if (a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b < 128))
    return 'private';
  return 'public';
}

function kindOfIPv6(host: string): AddressKind {
  if (host === '::1') return 'loopback';
  if (host === '::' || METADATA_IPV6.includes(host)) return 'forbidden';
  const mapped = ipv4Within(host) ?? ipv4Behind(host);
  if (mapped) return kindOfIPv4(mapped);
  const first = Number.parseInt(host.split(':')[0] || '0', 16);
  if ((first & 0xffc0) === 0xfe80 || (first & 0xff00) === 0xff00) return 'forbidden';
  if ((first & 0xfe00) === 0xfc00) return 'private';
  return 'public';
}

/** The IPv4 address that an IPv6 address stands for. */
function ipv4Within(host: string): readonly number[] | undefined {
  return endOf(/^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host));
}

/** The one that a translator of the network leads to (NAT64, RFC 6052 2.1): networks of IPv6 alone have their metadata service there, too. */
function ipv4Behind(host: string): readonly number[] | undefined {
  return endOf(/^64:ff9b::([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host));
}

function endOf(match: readonly string[] | null): readonly number[] | undefined {
  const [, ...halves] = match ?? [];
  if (halves.length === 0) return undefined;
  return halves.map((half) => Number.parseInt(half, 16)).flatMap((half) => [half >> 8, half & 255]);
}
