import { isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkRange,
  checkSubnet,
  contains,
  defaultGateway,
  formatAddress,
  formatSubnet,
  freeSubnet,
  localSubnet,
  memberResolvConf,
  parseAddress,
  parseSubnet,
  routedSubnets,
  type Subnet,
} from '../../src/network/index.ts';

const none: ReadonlyMap<string, readonly Subnet[]> = new Map();

describe('addresses', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00:0:0:1::7', 'fd00:0:0:1::7'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['fd00:0::0', 'fd00::'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
  ])('%s is written %s', (text, written) => {
    const address = parseAddress(text);
    expect(address && formatAddress(address)).toBe(written);
  });

  test('what is written is read as it was (property)', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (value) => {
        const text = formatAddress({ family: 6, value });
        expect(isIPv6(text)).toBe(true);
        expect(parseAddress(text)).toEqual({ family: 6, value });
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const address = parseAddress(text);
        expect(address && formatAddress(address)).toBe(text);
      }),
    );
  });

  test('what is none is none', () => {
    for (const text of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', 'g::', '1:2'])
      expect(parseAddress(text)).toBeUndefined();
    for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', 'fd00::/129', '10.0.0.0/-1', 'x/8'])
      expect(() => parseSubnet(text)).toThrow(/Cannot use subnet/);
  });
});

describe('subnets', () => {
  test('are named by any of their addresses', () => {
    expect(formatSubnet(parseSubnet('10.89.7.77/24'))).toBe('10.89.7.0/24');
    expect(formatSubnet(parseSubnet('fd00:7::9/64'))).toBe('fd00:7::/64');
    expect(formatAddress(defaultGateway(parseSubnet('10.89.7.77/24')))).toBe('10.89.7.1');
  });

  test('one that is free overlaps with none that is used (property)', () => {
    const used = fc.array(
      fc
        .tuple(fc.nat(255), fc.nat(255), fc.integer({ min: 10, max: 30 }))
        .map(([b, c, prefix]) => parseSubnet(`10.${b}.${c}.0/${prefix}`)),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(used, (others) => {
        let found: Subnet;
        try {
          found = freeSubnet(others);
        } catch {
          // All of it can be taken by a few that are large.
          expect(others.some(({ prefix }) => prefix < 14)).toBe(true);
          return;
        }
        expect(found.prefix).toBe(24);
        for (const other of others) expect(contains(other, found) || contains(found, other)).toBe(false);
        checkSubnet(found, defaultGateway(found), new Map([['other', others]]));
      }),
    );
  });

  test('the pool is used up one day', () => {
    expect(formatSubnet(freeSubnet([]))).toBe('10.89.0.0/24');
    expect(formatSubnet(freeSubnet([parseSubnet('10.88.0.0/15'), parseSubnet('10.90.0.128/25')]))).toBe('10.90.1.0/24');
    expect(() => freeSubnet([parseSubnet('10.0.0.0/8')])).toThrow(/every one from 10.89.0.0 on is in use/);
  });

  test('what no network can have is refused', () => {
    const refused = (subnet: string, gateway: string, others = none): void => {
      const address = parseAddress(gateway);
      if (address) checkSubnet(parseSubnet(subnet), address, others);
    };
    expect(() => refused('10.1.0.0/31', '10.1.0.1')).toThrow(/no address for a container/);
    expect(() => refused('10.0.0.0/7', '10.0.0.1')).toThrow(/larger than a \/8/);
    for (const gateway of ['10.2.0.1', '10.1.0.0', '10.1.0.255', 'fd00::1'])
      expect(() => refused('10.1.0.0/24', gateway)).toThrow(/the gateway is no address of a host in it/);
    expect(() => refused('10.1.0.0/24', '10.1.0.1', new Map([['ci', [parseSubnet('10.0.0.0/8')]]]))).toThrow(
      /network ci has it/,
    );
    refused('fd00::/64', 'fd00::1');
  });

  test('addresses are given from a part that has some', () => {
    const from = (subnet: string, range: string): void => {
      const whole = parseSubnet(subnet);
      checkRange(whole, defaultGateway(whole), parseSubnet(range));
    };
    for (const range of ['10.1.0.0/24', '10.1.0.128/25', '10.1.0.0/30', '10.1.0.7/32']) from('10.1.0.0/24', range);
    from('fd00::/64', 'fd00::ffff:0/112');
    for (const range of ['10.1.1.0/25', '10.1.0.0/23', 'fd00::/64'])
      expect(() => from('10.1.0.0/24', range), range).toThrow(/it is no part of subnet 10\.1\.0\.0\/24/);
    // The network's own address and its gateway, and the one that is everybody's.
    for (const range of ['10.1.0.0/31', '10.1.0.0/32', '10.1.0.1/32', '10.1.0.255/32'])
      expect(() => from('10.1.0.0/24', range), range).toThrow(/it has no address for a container/);
  });

  test('of IPv6 are one’s own', () => {
    expect(formatSubnet(localSubnet(Uint8Array.of(1, 2, 3, 4, 5)))).toBe('fd01:203:405::/64');
    expect(localSubnet()).not.toEqual(localSubnet());
  });

  test('of the machine are those that it has routes to', () => {
    const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0101A8C0	0003	0	0	0	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000590A	00000000	0001	0	0	0	0000FFFF	0	0	0
`;
    expect(routedSubnets(table).map(formatSubnet)).toEqual(['192.168.1.0/24', '10.89.0.0/16']);
    expect(formatSubnet(freeSubnet(routedSubnets(table)))).toBe('10.90.0.0/24');
  });
});

test('a container asks its own name server, in the domains of the machine', () => {
  expect(memberResolvConf('nameserver 127.0.0.53\nsearch corp.test lan\noptions edns0\n')).toBe(
    'nameserver 127.0.0.11\nsearch corp.test lan\noptions ndots:0\n',
  );
});
