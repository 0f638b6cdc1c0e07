import { describe, expect, test } from 'vitest';
import { memberNetwork, memberResolvConf, networkOfProcess, parseMac } from '../../src/network/index.ts';
import { exposedPorts, parsePublish, portName, publishArguments, relayArguments } from '../../src/network/ports.ts';

describe('a hardware address', () => {
  // Go's net.ParseMAC, of which docker takes those of six bytes.
  test.each([
    ['02:42:ac:11:00:02', '02:42:ac:11:00:02'],
    ['02-42-AC-11-00-02', '02:42:ac:11:00:02'],
    ['0242.ac11.0002', '02:42:ac:11:00:02'],
    [' FE:ff:ff:ff:ff:ff ', 'fe:ff:ff:ff:ff:ff'],
    ['00:00:00:00:00:01', '00:00:00:00:00:01'],
  ])('%j is %s', (text, mac) => expect(parseMac('--mac-address', text)).toBe(mac));

  test.each([
    ['', 'it is not a valid mac address'],
    ['02:42:ac:11:00', 'it is not a valid mac address'],
    ['02:42:ac:11:00:02:03', 'it is not a valid mac address'],
    ['02:42:ac:11:00:02:03:04', 'it is not a valid mac address'],
    ['02:42-ac:11:00:02', 'it is not a valid mac address'],
    ['0242:ac11:0002', 'it is not a valid mac address'],
    ['024:2a:c1:10:00:2', 'it is not a valid mac address'],
    ['02:42:ac:11:00:0g', 'it is not a valid mac address'],
    ['02:42:ac:11:00:02\n02:42:ac:11:00:03', 'it is not a valid mac address'],
    ['01:00:5e:00:00:01', 'it is the address of a group'],
    ['ff:ff:ff:ff:ff:ff', 'it is the address of a group'],
    ['00:00:00:00:00:00', 'it is nobody’s'],
  ])('is none: %j', (text, why) => {
    expect(() => parseMac('--mac-address', text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot use --mac-address ${JSON.stringify(text)}: ${why}`,
      }),
    );
  });
});

describe('the resolver of a container in shared networks', () => {
  test('asks the name server of its networks, and knows the domains of the machine', () => {
    const machine =
      'nameserver 192.0.2.1\n# a comment\n search a.example b.example\ndomain c.example\noptions ndots:5\n';
    expect(memberResolvConf(machine)).toBe(
      'nameserver 127.0.0.11\n search a.example b.example\ndomain c.example\noptions ndots:0\n',
    );
    expect(memberResolvConf('')).toBe('nameserver 127.0.0.11\noptions ndots:0\n');
  });

  const upstream = (resolvConf: string): string[] => {
    const network = memberNetwork({
      plan: { idShift: 7 },
      directory: '/c',
      hostname: 'me',
      joins: ['one', 'two'],
      ports: [],
      resolvConf,
    });
    const all = network.arguments(['run', 'this']);
    return all.flatMap((word, at) => (word === '--upstream' ? [all[at + 1] ?? ''] : []));
  };

  test.each<[string, string[]]>([
    ['nameserver 192.0.2.1\nnameserver 2001:db8::1\n', ['192.0.2.1', '2001:db8::1']],
    ['  nameserver\t192.0.2.1 # mine', ['192.0.2.1']],
    ['#nameserver 192.0.2.1', []],
    ['nameserver\nsearch corp.test\n', []],
    // It would ask itself, and addresses of one link mean nothing elsewhere.
    ['nameserver 127.0.0.11\nnameserver fe80::1%eth0\nnameserver 192.0.2.2', ['192.0.2.2']],
    ['', []],
  ])('asks for other names whom %j names', (text, servers) => expect(upstream(text)).toEqual(servers));
});

describe('what the helper is told', () => {
  test('of a network that joins others: ids, name, networks and ports, and then the command', () => {
    const [port] = parsePublish('127.0.0.1:8080:80');
    if (port === undefined) throw new Error('No port');
    const network = memberNetwork({
      plan: { idShift: 100_000 },
      directory: '/c',
      hostname: 'me',
      joins: ['one', 'two'],
      ports: [port],
      resolvConf: '',
    });
    expect(network.arguments(['run', '--this']).join(' ')).toBe(
      'network --parent 1 --at /c/network --root 100000 --member /c --hostname me --join one --join two --relay tcp:5:80 -- run --this',
    );
    expect(network.publish?.(['x']).join(' ')).toBe('publish --tcp 127.0.0.1 8080 -- x');
    expect(network).toMatchObject({ path: '/c/network', leadsNowhere: undefined });
  });

  test('of the network of another container: one of its processes', () => {
    const network = networkOfProcess({ directory: '/c' }, 1234, 'nameserver 192.0.2.1\n');
    expect(network.arguments(['x']).join(' ')).toBe('network --parent 1 --at /c/network --of 1234 -- x');
    // Without a pid namespace around it nobody is number 1.
    const among = networkOfProcess({ directory: '/c', sharesProcesses: true }, 1234, undefined);
    expect(among.arguments(['x']).join(' ')).toBe('network --parent 0 --at /c/network --of 1234 -- x');
    expect(network).toMatchObject({ publish: undefined, resolvConf: 'nameserver 192.0.2.1\n' });
  });

  test('of ports: one descriptor each, in their order', () => {
    const ports = [...parsePublish('53:53/udp'), ...parsePublish('[::1]:0:443'), ...parsePublish('80-81')];
    expect(publishArguments(ports, ['x']).join(' ')).toBe('publish --udp * 53 --tcp ::1 0 --tcp * 0 --tcp * 0 -- x');
    expect(publishArguments(parsePublish('127.0.0.1:8000-9000:80'), ['x']).join(' ')).toBe(
      'publish --tcp 127.0.0.1 8000-9000 -- x',
    );
    expect(relayArguments(ports).filter((word) => word !== '--relay')).toEqual([
      'udp:5:53',
      'tcp:6:443',
      'tcp:7:80',
      'tcp:8:81',
    ]);
    expect(ports.map(portName)).toEqual(['53/udp', '443/tcp', '80/tcp', '81/tcp']);
  });
});

test('what an image exposes is published at any port, and what it says wrongly is not', () => {
  const exposed = { '80': {}, '53/udp': {}, '8000-8001/tcp': {}, '1:2': {}, '0/tcp': {}, '99999/tcp': {}, 'x/tcp': {}, '80/sctp': {} };
  expect(exposedPorts(exposed).map((port) => `${port.hostPort}:${portName(port)}`)).toEqual([
    '0:80/tcp',
    '0:53/udp',
    '0:8000/tcp',
    '0:8001/tcp',
  ]);
  expect(exposedPorts(undefined)).toEqual([]);
}); // oxfmt-ignore
