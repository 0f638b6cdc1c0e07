import { isIP } from 'node:net';

/** Where an address is. A registry on the internet has no business to send us to a private one. */
export type AddressKind = 'name' | 'public' | 'private' | 'loopback' | 'forbidden';

/**
 * What a URL's host name stands for, judged by its spelling alone (names are not looked up). `forbidden` is what never
 * has a registry's helper behind it: link-local (cloud metadata), metadata services elsewhere, unspecified, multicast.
 * @param hostname as `URL.hostname` gives it, i.e. with exotic IPv4 spellings already normalised and IPv6 in brackets
 */
export function addressKind(hostname: string): AddressKind {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  switch (isIP(host)) {
    case 4:
      return kindOfIPv4(host.split('.').map(Number));
    case 6:
      return kindOfIPv6(host.toLowerCase());
    default:
      return 'name';
  }
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
  const mapped = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped) {
    const high = Number.parseInt(mapped[1] ?? '0', 16);
    const low = Number.parseInt(mapped[2] ?? '0', 16);
    return kindOfIPv4([high >> 8, high & 255, low >> 8, low & 255]);
  }
  const first = Number.parseInt(host.split(':')[0] || '0', 16);
  if ((first & 0xffc0) === 0xfe80 || (first & 0xff00) === 0xff00) return 'forbidden';
  if ((first & 0xfe00) === 0xfc00) return 'private';
  return 'public';
}
