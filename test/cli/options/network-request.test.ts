import { expect, test } from 'vitest';
import { parseNetworkChoice } from '../../../src/cli/options/network-request.ts';

test.each([
  [{}, { kind: undefined }],
  [{ network: ['host'] }, { kind: 'host' }],
  [{ net: ['none'] }, { kind: 'none' }],
  [{ network: ['container:web'] }, { kind: 'container', name: 'web' }],
  [{ network: ['ci'] }, { kind: 'shared', joins: [{ network: 'ci', aliases: [] }] }],
  [{ network: ['default'] }, { kind: 'shared', joins: [{ network: 'bridge', aliases: [] }] }],
  [
    { network: ['name=ci,alias=a,alias=b,ip=10.1.2.3'], networkAlias: ['c'] },
    { kind: 'shared', joins: [{ network: 'ci', aliases: ['a', 'b', 'c'], ip: '10.1.2.3' }] },
  ],
  [{ network: ['ci:alias=a'] }, { kind: 'shared', joins: [{ network: 'ci', aliases: ['a'] }] }],
  [{ macAddress: '92:d0:c6:0a:29:33' }, { kind: 'private', mac: '92:d0:c6:0a:29:33' }],
  [
    { network: ['private'], macAddress: '92-D0-C6-0A-29-33' },
    { kind: 'private', mac: '92:d0:c6:0a:29:33' },
  ],
  [
    { network: ['one', 'name=two,mac-address=02:42:0A:59:00:07'], macAddress: '92d0.c60a.2933' },
    {
      kind: 'shared',
      joins: [
        { network: 'one', aliases: [], mac: '92:d0:c6:0a:29:33' },
        { network: 'two', aliases: [], mac: '02:42:0a:59:00:07' },
      ],
    },
  ],
  [
    { network: ['one', 'two'], ip: '10.1.2.3', netAlias: ['x'] },
    {
      kind: 'shared',
      joins: [
        { network: 'one', aliases: ['x'], ip: '10.1.2.3' },
        { network: 'two', aliases: ['x'] },
      ],
    },
  ],
])('%j is understood', (options, choice) => {
  expect(parseNetworkChoice(options)).toEqual(choice);
});

test.each([
  [{ network: ['host', 'ci'] }, /several --network/],
  [{ network: ['ci', 'none'] }, /several --network/],
  [{ network: ['ci', 'ci'] }, /named twice/],
  [{ network: ['container:'] }, /names no container/],
  [{ network: [''] }, /names no network/],
  [{ network: ['alias=x'] }, /names no network/],
  [{ network: ['name=ci,mtu=9000'] }, /there is no "mtu"/],
  [{ network: ['name=ci,alias'] }, /has no value/],
  [{ network: ['ci'], ip: 'fd00::1' }, /--ip "fd00::1"/],
  [{ network: ['ci'], ip6: '10.0.0.1' }, /--ip6/],
  [{ network: ['ci'], networkAlias: ['a b'] }, /alias "a b"/],
  [{ network: ['private'], ip: '10.0.0.1' }, /Cannot use --ip/],
  [{ networkAlias: ['a'] }, /Cannot use --network-alias/],
  [
    { network: ['host'], macAddress: '92:d0:c6:0a:29:33' },
    /--network host: conflicting options: mac-address and the network mode/,
  ],
  [{ network: ['none'], macAddress: '92:d0:c6:0a:29:33' }, /--network none: conflicting options/],
  [{ network: ['container:web'], macAddress: '92:d0:c6:0a:29:33' }, /--network container:NAME: conflicting options/],
  [{ macAddress: '92:d0:c6:0a:29' }, /"92:d0:c6:0a:29": it is not a valid mac address/],
  [{ macAddress: '92:d0:c6:0a:29:33:00:00' }, /not a valid mac address/],
  [{ macAddress: '92:d0-c6:0a:29:33' }, /not a valid mac address/],
  [{ network: ['ci'], macAddress: '92:d0:c6:0a:29:3g' }, /not a valid mac address/],
  [{ network: ['ci'], macAddress: '93:d0:c6:0a:29:33' }, /the address of a group/],
  [{ network: ['name=ci,mac-address=00:00:00:00:00:00'] }, /nobody’s/],
])('%j is refused', (options, why) => {
  expect(() => parseNetworkChoice(options)).toThrow(why);
});
