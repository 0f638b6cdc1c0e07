import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkRange,
  checkSubnet,
  contains,
  defaultGateway,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  routedSubnets,
} from '../../src/network/index.ts';
import { overlaps, sizeOf } from '../../src/network/address.ts';

const v4 = fc.nat(2 ** 32 - 1).map((value) => ({ family: 4 as const, value: BigInt(value) }));
/** With rows of zeros, which is what spelling is about. */
const v6 = fc
  .array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff) }), { minLength: 8, maxLength: 8 })
  .map((words) => ({ family: 6 as const, value: words.reduce((sum, word) => (sum << 16n) | BigInt(word), 0n) })); // oxfmt-ignore
const subnet = fc.oneof(
  fc.tuple(v4, fc.nat(32)).map(([address, prefix]) => parseSubnet(`${formatAddress(address)}/${prefix}`)),
  fc.tuple(v6, fc.nat(128)).map(([address, prefix]) => parseSubnet(`${formatAddress(address)}/${prefix}`)),
);

describe('addresses', () => {
  test('of IPv6 are spelled as RFC 5952 says, which is how URLs have them (property)', () => {
    fc.assert(
      fc.property(v6, (address) => {
        const words = Array.from({ length: 8 }, (_, at) => ((address.value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
        const url = new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
        expect(formatAddress(address)).toBe(url);
        expect(parseAddress(url)).toEqual(address);
        // Every other spelling is the same address.
        expect(parseAddress(words.map((word) => word.padStart(4, '0').toUpperCase()).join(':'))).toEqual(address);
      }),
      { numRuns: 500 },
    );
  }); // oxfmt-ignore

  test('with their end in the older form are the same', () => {
    fc.assert(
      fc.property(v6, (address) => {
        const words = Array.from({ length: 6 }, (_, at) => ((address.value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
        const end = formatAddress({ family: 4, value: address.value & 0xffffffffn });
        expect(parseAddress(`${words.join(':')}:${end}`)).toEqual(address);
      }),
    );
    expect(formatAddress(parseAddress('::1.2.3.4') ?? { family: 4, value: 0n })).toBe('::102:304');
    expect(formatAddress(parseAddress('64:ff9b::10.0.0.1') ?? { family: 4, value: 0n })).toBe('64:ff9b::a00:1');
  }); // oxfmt-ignore

  test('are what Node takes for such, and nothing else (property)', () => {
    const piece = fc.constantFrom('1', '255', '256', '01', 'f', 'ffff', '10000', ':', '::', '.', '%eth0', '/', ' ', 'g', '-1', '0x1');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        expect(parseAddress(text)?.family ?? 0).toBe(text.includes('%') ? 0 : isIP(text));
      }),
      { numRuns: 1000 },
    );
  }); // oxfmt-ignore
});

describe('subnets', () => {
  test('have what begins as they do (property)', () => {
    fc.assert(
      fc.property(subnet, fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (one, draw) => {
        const inside = { family: one.family, value: one.value + (draw % sizeOf(one)) };
        expect(contains(one, inside)).toBe(true);
        expect(contains(one, { ...inside, value: one.value + sizeOf(one) })).toBe(false);
        expect(contains(one, { ...inside, value: one.value - 1n })).toBe(false);
        expect(contains(one, { ...inside, family: one.family === 4 ? 6 : 4 })).toBe(false);
        // Named by any of its addresses it is the same.
        expect(parseSubnet(`${formatAddress(inside)}/${one.prefix}`)).toEqual(one);
        expect(parseSubnet(formatSubnet(one))).toEqual(one);
      }),
    );
  });

  test('overlap where one is in the other, and nowhere else (property)', () => {
    fc.assert(
      fc.property(subnet, subnet, (one, other) => {
        const isApart = one.family !== other.family || one.value + sizeOf(one) <= other.value || other.value + sizeOf(other) <= one.value;
        expect(overlaps(one, other)).toBe(!isApart);
        expect(overlaps(other, one)).toBe(overlaps(one, other));
        expect(overlaps(one, one)).toBe(true);
      }),
    );
  }); // oxfmt-ignore

  test('of a network have a gateway and an address for a container, or are refused (property)', () => {
    fc.assert(
      fc.property(subnet, (one) => {
        const gateway = defaultGateway(one);
        expect(contains(one, gateway)).toBe(true);
        const refused = (): boolean => {
          try {
            checkSubnet(one, gateway, new Map());
            return false;
          } catch (error) {
            expect(error).toMatchObject({ code: 'TSB_USAGE', message: expect.stringContaining(formatSubnet(one)) as string });
            return true;
          }
        };
        expect(refused()).toBe(one.prefix > (one.family === 4 ? 30 : 126) || (one.family === 4 && one.prefix < 8));
        // The whole of what is none is a range of itself.
        if (!refused()) expect(() => checkRange(one, gateway, one)).not.toThrow();
      }),
    );
  }); // oxfmt-ignore

  test('of the machine are read from whatever its table says', () => {
    const field = fc.constantFrom('eth0', '00000000', '0000A8C0', '00FFFFFF', 'FFFFFFFF', 'xyz', '', '0003', '-1', '00ffffff');
    fc.assert(
      fc.property(fc.array(fc.array(field, { maxLength: 11 }), { maxLength: 6 }), (lines) => {
        const table = ['Iface\tDestination', ...lines.map((fields) => fields.join('\t'))].join('\n');
        for (const found of routedSubnets(table)) {
          expect(found.prefix).toBeGreaterThan(0);
          expect(isIP(formatAddress(found))).toBe(4);
        }
      }),
    );
    expect(routedSubnets('')).toEqual([]);
  }); // oxfmt-ignore
});
