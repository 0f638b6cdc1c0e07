import { expect, test } from 'vitest';
import { parseAllow } from '../../../src/cli/options/allow.ts';

test('--allow takes entitlements, lists of them, and devices', () => {
  const { entitlements, devices } = parseAllow([
    'network.host,security.insecure',
    'device=a.com/b=c',
    'device=a.com/b=d,alias=gpu',
    'device=a.com/b',
    'device=a.com/b=*',
  ]);
  expect([...entitlements]).toEqual(['network.host', 'security.insecure']);
  expect(devices).toEqual({
    all: false,
    names: new Set(['a.com/b=c', 'a.com/b', 'a.com/b=*']),
    aliases: new Map([['gpu', 'a.com/b=d']]),
  });
  for (const all of ['device', 'network.host,device', 'device=']) expect(parseAllow([all]).devices.all).toBe(true);
  expect(parseAllow([]).devices.all).toBe(false);
});

test.each([
  ['all', 'unknown entitlement all'],
  ['devices', 'unknown entitlement devices'],
  ['Device', 'unknown entitlement Device'],
  ['device=gpu', '"gpu" is no name of a device'],
  ['device=,alias=x', '"" is no name of a device'],
  ['device=a.com/b=c,network.host', 'invalid device config "network.host"'],
  ['device=a.com/b=c,name=x', 'unknown device config key "name"'],
])('--allow %s is refused', (text, says) => {
  expect(() => parseAllow([text])).toThrow(says);
});
