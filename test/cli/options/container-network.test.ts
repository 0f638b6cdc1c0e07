import { describe, expect, test } from 'vitest';
import {
  hostAddress,
  type NetworkOptions,
  networkReports,
  parseNetwork,
  publishedPorts,
  sharesNetworks,
  warnOfPorts,
  withDefaultNetwork,
} from '../../../src/cli/options/container-network.ts';
import { askedPort, portName } from '../../../src/network/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

/** Ports as `HOST->CONTAINER`, with `?` for one that is free. */
const shown = (options: NetworkOptions, exposed?: readonly string[]): readonly string[] =>
  publishedPorts(options, exposed && Object.fromEntries(exposed.map((port) => [port, {}]))).map(
    (port) => `${port.hostPort === 0 ? '?' : hostAddress(port).replace(/\d+$/, askedPort(port))}->${portName(port)}`,
  );

describe('published ports', () => {
  test.each<[NetworkOptions, readonly string[], readonly string[]]>([
    [{}, ['80/tcp'], []],
    [{ publish: ['80'] }, [], ['?->80/tcp']],
    [{ publish: ['8080:80'] }, ['80/tcp', '443/tcp'], ['0.0.0.0:8080->80/tcp']],
    [{ publish: ['[::1]:8080:80/udp'] }, [], ['[::1]:8080->80/udp']],
    [{ publish: ['8000-8001:80-81'] }, [], ['0.0.0.0:8000->80/tcp', '0.0.0.0:8001->81/tcp']],
    [{ publish: ['8000-9000:80'] }, ['80/tcp'], ['0.0.0.0:8000-9000->80/tcp']],
    // Several may choose from one range, and what is in it may be asked for by itself.
    [
      { publish: ['8000-8002:80', '8000-8002:81', '8001:82'] },
      [],
      ['0.0.0.0:8000-8002->80/tcp', '0.0.0.0:8000-8002->81/tcp', '0.0.0.0:8001->82/tcp'],
    ],
    [{ publishAll: true }, ['80/tcp', '53/udp'], ['?->80/tcp', '?->53/udp']],
    [{ publishAll: true }, [], []],
    // Without -P nothing that is exposed is published.
    [{ expose: ['80'] }, ['443/tcp'], []],
    [{ publishAll: true, expose: ['90', '53/udp'] }, ['80/tcp'], ['?->80/tcp', '?->90/tcp', '?->53/udp']],
    [{ publishAll: true, expose: ['80-82'] }, [], ['?->80/tcp', '?->81/tcp', '?->82/tcp']],
    [{ publishAll: true, expose: ['53/UDP'] }, [], ['?->53/udp']],
    // Each once, whoever exposes it and however.
    [{ publishAll: true, expose: ['80', '80/tcp', '79-80'] }, ['80', '80/tcp'], ['?->80/tcp', '?->79/tcp']],
    [{ publish: ['8080:80'], publishAll: true }, ['80/tcp', '80/udp'], ['0.0.0.0:8080->80/tcp', '?->80/udp']],
    // What an image says that is no port is passed over, as docker does.
    [{ publishAll: true }, ['nonsense', '99999/tcp', '80:80', '1/sctp'], []],
  ])('%j of an image that exposes %j are %j', (options, exposed, ports) => {
    expect(shown(options, exposed)).toEqual(ports);
  });

  test.each([['99999'], ['0'], ['90-80'], ['abc'], [''], ['80/sctp'], ['8080:80'], ['-80'], ['80 ']])(
    '--expose %j is refused, also where nothing would be published',
    (text) => {
      for (const publishAll of [true, false])
        expect(() => parseNetwork({ expose: [text], publishAll })).toThrow(
          expect.objectContaining({ code: 'TSB_USAGE', message: `Cannot use --expose ${JSON.stringify(text)}` }),
        );
    },
  );

  test.each([
    [{ publish: ['80:80', '80:81'] }, 'Cannot publish port 80/tcp twice'],
    [{ publish: ['127.0.0.1:80:80', '127.0.0.1:80:81'] }, 'Cannot publish port 80/tcp twice'],
    [{ publish: ['8000-8001:80', '80:80', '80:81'] }, 'Cannot publish port 80/tcp twice'],
    [{ publish: ['80-82:80-82', '82:90'] }, 'Cannot publish port 82/tcp twice'],
    [
      { network: ['container:db'], publish: ['80'] },
      'Cannot publish ports of a network that belongs to another container',
    ],
    [{ network: ['container:db'], publishAll: true }, 'belongs to another container'],
  ])('%j is refused', (options, why) => {
    expect(() => parseNetwork(options)).toThrow(why);
  });

  test('of one number for both protocols, or at two addresses, are two', () => {
    expect(shown({ publish: ['80:80', '80:80/udp'] })).toHaveLength(2);
    expect(shown({ publish: ['127.0.0.1:80:80', '[::1]:80:80'] })).toHaveLength(2);
    // Ports that are free are others each time.
    expect(shown({ publish: ['80', '80', '0:80'] })).toHaveLength(3);
  });
});

describe('the network of a container', () => {
  test.each<[NetworkOptions, string]>([
    [{}, 'host'],
    [{ publish: ['80'] }, 'isolated'],
    [{ publishAll: true }, 'isolated'],
    [{ network: ['none'] }, 'none'],
    [{ network: ['host'], publish: ['80'] }, 'host'],
    [{ network: ['private'] }, 'isolated'],
    [{ network: ['ci'] }, 'isolated'],
    [{ network: ['container:db'] }, 'isolated'],
    [{ macAddress: '92:d0:c6:0a:29:33' }, 'isolated'],
  ])('with %j is %s', (options, mode) => {
    expect(parseNetwork(options).mode).toBe(mode);
  });

  test('has a hardware address of its own only where it is nobody else’s', () => {
    expect(parseNetwork({ macAddress: '92:d0:c6:0a:29:33' }).mac).toBe('92:d0:c6:0a:29:33');
    expect(parseNetwork({ network: ['ci'], macAddress: '92:d0:c6:0a:29:33' })).not.toHaveProperty('mac');
  });

  test('is the default one where ports are published and none is named', () => {
    expect(withDefaultNetwork<NetworkOptions>({ publish: ['80'] }).network).toEqual(['bridge']);
    expect(withDefaultNetwork<NetworkOptions>({ publishAll: true }).network).toEqual(['bridge']);
    for (const options of [
      {},
      { publish: [] },
      { network: ['none'], publish: ['80'] },
      { macAddress: '92:d0:c6:0a:29:33', publish: ['80'] },
    ])
      expect(withDefaultNetwork(options)).toBe(options);
  });

  test('that others are in makes a supervisor necessary', () => {
    expect([{ network: ['ci'] }, { network: ['container:db'] }].map(sharesNetworks)).toEqual([true, true]);
    expect([{}, { network: ['host'] }, { network: ['private'] }, { publish: ['80'] }].map(sharesNetworks)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('what is said of it', () => {
  test.each<[NetworkOptions, string]>([
    [{ network: ['host'], publish: ['80'] }, "warning: no port is published: the container's network is host\n"],
    [{ network: ['none'], publishAll: true }, "warning: no port is published: the container's network is none\n"],
    [{ network: ['private'], publish: ['80'] }, ''],
    [{ network: ['host'] }, ''],
    [{}, ''],
  ])('of %j: %j', (options, text) => {
    const context = fakeContext();
    warnOfPorts(context, options);
    expect(context.err()).toBe(text);
  });

  test('are ports that were free, and a network that leads nowhere', () => {
    const context = fakeContext();
    const { onPort, onLeadsNowhere } = networkReports(context);
    onPort({ protocol: 'tcp', hostPort: 8080, hostIp: undefined, containerPort: 80 }, 8080);
    onPort({ protocol: 'udp', hostPort: 0, hostIp: '::1', containerPort: 53 }, 40_000);
    onPort({ protocol: 'tcp', hostPort: 8000, hostPortEnd: 8005, hostIp: undefined, containerPort: 90 }, 8003);
    onLeadsNowhere({ reason: 'there is no pasta', fix: 'install passt' });
    expect(context.err()).toBe(
      "53/udp is published at [::1]:40000\n90/tcp is published at 0.0.0.0:8003\nwarning: the container's network leads nowhere outside: there is no pasta (fix: install passt)\n",
    );
  });
});
