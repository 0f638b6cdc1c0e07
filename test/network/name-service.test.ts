import { describe, expect, test } from 'vitest';
import { nameServiceOf, networkArguments } from '../../src/network/network-arguments.ts';
import { resolvConfFor } from '../../src/sandbox/network-files.ts';

const PLAN = { idShift: 0 };
const PASTA = { kind: 'pasta', program: '/usr/bin/pasta', anybody: true } as const;
const SLIRP = { kind: 'slirp4netns', program: '/usr/bin/slirp4netns', anybody: true } as const;

const of = (outside: typeof PASTA | typeof SLIRP | undefined, machine: string): ReturnType<typeof nameServiceOf> =>
  nameServiceOf(outside, (forwarder) => resolvConfFor('private', machine, forwarder));

const args = (outside: typeof PASTA | typeof SLIRP, machine: string): readonly string[] =>
  networkArguments({ at: '/n', parentPid: 1, plan: PLAN, outside, resolver: of(outside, machine).resolver });

describe('names in a network of its own', () => {
  test('servers on loopback are asked through what connects the network', () => {
    expect(of(PASTA, 'search example\nnameserver 127.0.0.1\n')).toEqual({
      resolvConf: 'search example\nnameserver 169.254.1.1\n',
      resolver: '169.254.1.1',
    });
    expect(args(PASTA, 'nameserver 127.0.0.53\n').join(' ')).toContain('--dns 169.254.1.1');
    expect(of(SLIRP, 'nameserver ::1\n')).toEqual({ resolvConf: 'nameserver 10.0.2.3\n', resolver: '10.0.2.3' });
    expect(args(SLIRP, 'nameserver ::1\n')).not.toContain('--dns');
  });

  test('others are asked themselves, and then nothing may answer in their stead', () => {
    const machine = 'nameserver 192.0.2.53\nnameserver 127.0.0.1\n';
    expect(of(PASTA, machine)).toEqual({ resolvConf: 'nameserver 192.0.2.53\n', resolver: undefined });
    // With it, pasta gives their answers another sender, and none arrives.
    expect(args(PASTA, machine)).not.toContain('--dns');
  });

  test('where nothing connects the network nobody answers', () => {
    expect(of(undefined, 'nameserver 192.0.2.53\n').resolver).toBeUndefined();
    expect(nameServiceOf(PASTA, () => undefined)).toEqual({ resolvConf: undefined, resolver: undefined });
  });
});
