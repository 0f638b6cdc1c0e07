import { randomHex, TsbuildError } from '../util/index.ts';
import { type Address, contains, formatSubnet, overlaps, sizeOf, type Subnet } from './address.ts';

/** Where networks without a subnet of their own get one from: those of podman, 10.89.0.0 to 10.255.255.0, which leaves docker's alone. */
const POOL = { first: (10n << 24n) | (89n << 16n), last: (10n << 24n) | (255n << 16n) | (255n << 8n) };
const PREFIX = 24;

/**
 * The first subnet of the pool that nothing else has.
 * @param used subnets of other networks, and what the machine itself reaches by more than its default route
 * @throws TsbuildError `TSB_USAGE` when the pool is used up
 */
export function freeSubnet(used: readonly Subnet[]): Subnet {
  const size = 1n << BigInt(32 - PREFIX);
  for (let value = POOL.first; value <= POOL.last;) {
    const subnet: Subnet = { family: 4, value, prefix: PREFIX };
    const other = used.find((each) => overlaps(each, subnet));
    if (other === undefined) return subnet;
    // Behind the whole of it, however large it is.
    const next = other.value + sizeOf(other);
    value = next > value ? next + ((size - (next % size)) % size) : value + size;
  }
  throw new TsbuildError('TSB_USAGE', 'Cannot find a subnet for the network: every one from 10.89.0.0 on is in use', {
    hint: 'name one with --subnet, or remove networks that nothing uses: tsbuild network prune',
  });
}

/** A subnet of one's own, as RFC 4193 has them: 40 random bits keep it apart from those of others. */
export function localSubnet(random: Uint8Array = Buffer.from(randomHex(5), 'hex')): Subnet {
  const value = random.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0xfdn);
  return { family: 6, value: value << 80n, prefix: 64 };
}

/** The address that a network's own end has where none is named: the first that a host may have. */
export function defaultGateway(subnet: Subnet): Address {
  return { family: subnet.family, value: subnet.value + (sizeOf(subnet) > 2n ? 1n : 0n) };
}

/**
 * Whether a subnet can be a network's.
 * @param gateway its own end in it
 * @throws TsbuildError `TSB_USAGE`
 */
export function checkSubnet(subnet: Subnet, gateway: Address, others: ReadonlyMap<string, readonly Subnet[]>): void {
  const text = formatSubnet(subnet);
  const refuse = (why: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use subnet ${text}: ${why}`, { hint });
  if (sizeOf(subnet) < 4n) throw refuse('it has no address for a container', 'a /30 is the smallest, /24 is usual');
  if (subnet.family === 4 && subnet.prefix < 8) throw refuse('it is larger than a /8', '/24 is usual');
  const last = subnet.value + sizeOf(subnet) - 1n;
  if (!contains(subnet, gateway) || gateway.value === subnet.value || (subnet.family === 4 && gateway.value === last))
    throw refuse('the gateway is no address of a host in it', 'leave --gateway out, or name an address within');
  for (const [name, subnets] of others)
    if (subnets.some((other) => overlaps(other, subnet)))
      throw refuse(`network ${name} has it or a part of it`, 'name another, or leave --subnet out');
}

/**
 * Whether addresses can be given from a part of a subnet.
 * @throws TsbuildError `TSB_USAGE` when it is no part of it, or has nothing to give
 */
export function checkRange(subnet: Subnet, gateway: Address, range: Subnet): void {
  const refuse = (why: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use range ${formatSubnet(range)}: ${why}`, { hint });
  if (!contains(subnet, range) || range.prefix < subnet.prefix)
    throw refuse(`it is no part of subnet ${formatSubnet(subnet)}`, 'name one that lies in it');
  const last = { ...subnet, value: subnet.value + sizeOf(subnet) - 1n };
  // Nobody can have the network's own address, nor the older family's last one.
  const reserved = [gateway, subnet, ...(subnet.family === 4 ? [last] : [])];
  const lost = new Set(reserved.filter((address) => contains(range, address)).map(({ value }) => value)).size;
  if (sizeOf(range) <= BigInt(lost)) throw refuse('it has no address for a container', 'name a larger one');
}

/** Subnets of /proc/net/route that the machine reaches: not its default route. */
export function routedSubnets(table: string): readonly Subnet[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination = '', , , , , , mask = ''] = line.split(/\s+/);
      if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask) || mask === '00000000') return [];
      const number = (hex: string): bigint => BigInt(Buffer.from(hex, 'hex').readUInt32LE());
      const prefix = number(mask).toString(2).replaceAll('0', '').length;
      return [{ family: 4 as const, value: number(destination), prefix }];
    });
}
