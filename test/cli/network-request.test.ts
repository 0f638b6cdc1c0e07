import { expect, test } from 'vitest';
import { parseNetworkChoice } from '../../src/cli/network-request.ts';

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
])('%j is refused', (options, why) => {
  expect(() => parseNetworkChoice(options)).toThrow(why);
});
