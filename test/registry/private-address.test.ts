import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressKind, type AddressKind, plainAddress } from '../../src/registry/http/private-address.ts';

/** By the host of a URL, which is how addresses come. */
const kindOf = (host: string): AddressKind => addressKind(new URL(`https://${host}/`).hostname);

describe('what a host is, by its spelling (IANA special-purpose registries, RFC 6890)', () => {
  test.each<[string, AddressKind]>([
    ['r.example', 'name'],
    ['localhost.example', 'name'],
    ['10.0.0.1.example', 'name'],
    ['localhost', 'loopback'],
    ['LocalHost', 'loopback'],
    ['localhost.', 'loopback'],
    ['registry.localhost', 'loopback'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['[::1]', 'loopback'],
    ['8.8.8.8', 'public'],
    ['[2001:4860:4860::8888]', 'public'],
    // RFC 1918, and carriers' own (RFC 6598), up to their edges.
    ['10.0.0.0', 'private'],
    ['10.255.255.255', 'private'],
    ['11.0.0.0', 'public'],
    ['172.15.255.255', 'public'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'public'],
    ['192.167.255.255', 'public'],
    ['192.168.0.0', 'private'],
    ['192.169.0.0', 'public'],
    ['100.63.255.255', 'public'],
    ['100.64.0.0', 'private'],
    ['100.127.255.255', 'private'],
    ['100.128.0.0', 'public'],
    ['[fc00::1]', 'private'],
    ['[fdff::1]', 'private'],
    ['[fbff::1]', 'public'],
    // This network, link-local with the clouds' metadata, multicast, and what is reserved.
    ['0.0.0.0', 'forbidden'],
    ['0.1.2.3', 'forbidden'],
    ['169.254.169.254', 'forbidden'],
    ['224.0.0.1', 'forbidden'],
    ['255.255.255.255', 'forbidden'],
    ['100.100.100.200', 'forbidden'],
    ['[::]', 'forbidden'],
    ['[fe80::1]', 'forbidden'],
    ['[febf::1]', 'forbidden'],
    ['[fec0::1]', 'public'],
    ['[ff02::1]', 'forbidden'],
    ['[fd00:ec2::254]', 'forbidden'],
    // Other spellings of the same: URLs know of octal, hexadecimal and short ones.
    ['0x7f.1', 'loopback'],
    ['0177.0.0.1', 'loopback'],
    ['2130706433', 'loopback'],
    ['127.1', 'loopback'],
    ['169.254.169.254.', 'forbidden'],
    // IPv4 within IPv6, and behind a translator of the network (RFC 6052).
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['[::ffff:10.0.0.1]', 'private'],
    ['[::10.0.0.1]', 'private'],
    ['[::ffff:8.8.8.8]', 'public'],
    ['[64:ff9b::169.254.169.254]', 'forbidden'],
    ['[64:ff9b::7f00:1]', 'loopback'],
    ['[64:ff9b::8.8.8.8]', 'public'],
  ])('%s is %s', (host, kind) => expect(kindOf(host)).toBe(kind));

  test('an IPv4 address is of the same kind however it is written (property)', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const number = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
        const kind = kindOf(address);
        expect(kindOf(String(number))).toBe(kind);
        expect(kindOf(`0x${number.toString(16)}`)).toBe(kind);
        // ::0.0.0.1 is IPv6's own loopback, and ::0.0.0.0 nobody.
        expect(kindOf(`[::ffff:${address}]`)).toBe(kind);
      }),
    );
  });
});

describe('an address in one spelling', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:a00:1', '10.0.0.1'],
    ['FD00:0:0::1', 'fd00::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['r.example', 'r.example'],
  ])('%s is %s', (address, plain) => expect(plainAddress(address)).toBe(plain));

  test('does not change by being made again (property)', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        expect(plainAddress(plainAddress(address))).toBe(plainAddress(address));
      }),
    );
  });
});
