import { isIP } from 'node:net';
import { TsbuildError } from '../util/index.ts';

/** An IP address as a number. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** All addresses that begin with the same `prefix` bits. */
export interface Subnet extends Address {
  readonly prefix: number;
}

/** Bits of an address. */
export function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** @returns undefined for what is no address */
export function parseAddress(text: string): Address | undefined {
  const family = isIP(text);
  if (family === 4)
    return { family, value: text.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(Number(byte)), 0n) };
  if (family !== 6 || text.includes('%')) return undefined;
  // The last 32 bits may be written in the older form.
  const plain = text.replace(/\d+\.\d+\.\d+\.\d+$/, (v4) => {
    const value = parseAddress(v4)?.value ?? 0n;
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const words = (part: string): string[] => part.split(':').filter(Boolean);
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return { family, value: all.reduce((sum, word) => (sum << 16n) | BigInt(Number.parseInt(word, 16)), 0n) };
}

/** An address as it is written: of IPv6 the longest row of zeros is left out (RFC 5952). */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const words = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
  const rows = words.join(':').match(/(?:(?<=^|:)0(?::|$)){2,}/g) ?? [];
  const longest = rows.reduce((best, row) => (row.length > best.length ? row : best), '');
  const text = words.join(':');
  if (longest === '') return text;
  const at = text.search(new RegExp(`(?<=^|:)${longest}`));
  const [before, after] = [text.slice(0, at), text.slice(at + longest.length)];
  return `${before === '' ? ':' : before}:${after}`;
}

/**
 * `10.1.2.0/24`; the address may be any within it.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSubnet(text: string): Subnet {
  const [, first = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(first);
  const prefix = Number(bits);
  if (address === undefined || bits === '' || prefix > bitsOf(address.family))
    throw new TsbuildError('TSB_USAGE', `Cannot use subnet ${JSON.stringify(text)}`, {
      hint: 'for example 10.89.7.0/24 or fd00:7::/64',
    });
  return { ...address, value: firstOf({ ...address, prefix }), prefix };
}

/** A subnet as it is written: `10.89.7.0/24`. */
export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet)}/${subnet.prefix}`;
}

/** How many addresses a subnet has. */
export function sizeOf({ family, prefix }: Subnet): bigint {
  return 1n << BigInt(bitsOf(family) - prefix);
}

/** The first of a subnet's addresses. */
function firstOf(subnet: Subnet): bigint {
  return subnet.value & ~(sizeOf(subnet) - 1n);
}

/** Whether an address is in a subnet. */
export function contains(subnet: Subnet, address: Address): boolean {
  const offset = address.value - firstOf(subnet);
  return subnet.family === address.family && offset >= 0n && offset < sizeOf(subnet);
}

/** Whether an address is in both. */
export function overlaps(one: Subnet, other: Subnet): boolean {
  return contains(one, other) || contains(other, one);
}
