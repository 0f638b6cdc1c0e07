import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerRow, networkNames } from '../../src/cli/containers/container-rows.ts';
import { summarizeContainer } from '../../src/cli/containers/container-summary.ts';
import { summarizeNetwork, summarizeSettings } from '../../src/cli/containers/network-summary.ts';
import { type Container, type ContainerState, type Network, Networks } from '../../src/containers/index.ts';
import { parsePublish } from '../../src/network/index.ts';
import { Store } from '../../src/store/index.ts';

let root = '';
beforeEach(() => void (root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-summary-'))));
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const ID = 'ab12'.repeat(16);
const step = {
  args: ['sh', '-c', 'sleep 1000; echo very long'],
  env: ['A=1'],
  cwd: '/w',
  user: '7',
  hostname: 'h',
  network: 'isolated',
  security: 'sandbox',
};
const container = (record: object = {}, more: object = {}): Container =>
  ({
    id: ID,
    name: 'web',
    directory: root,
    record: {
      created: '2026-01-01T00:00:00.000Z',
      image: { name: 'app:1', id: 'sha256:1' },
      imageConfig: { os: 'linux', config: {} },
      restart: { name: 'no', most: 0 },
      labels: {},
      autoRemove: false,
      stopSignal: 'SIGTERM',
      stopTimeout: 10,
      ...record,
      step: { ...step, ...more },
    },
  }) as unknown as Container;
const state = (more: Partial<ContainerState> = {}): ContainerState => ({
  status: 'running',
  pid: 5,
  exitCode: 0,
  restarts: 0,
  started: 'then',
  finished: '',
  ...more,
});
type Summary = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
const summary = (one: Container, now: ContainerState = state()): Summary => summarizeContainer(one, now) as Summary;

describe('inspect of a container', () => {
  test('has the ports that were asked for among what it was made with, ranges too', () => {
    const ports = [...parsePublish('8000-9000:80'), ...parsePublish('127.0.0.1:8080:80'), ...parsePublish('53/udp')];
    expect(summary(container({ ports }))['HostConfig']).toMatchObject({
      PortBindings: new Map([
        [
          '80/tcp',
          [
            { HostIp: '', HostPort: '8000-9000' },
            { HostIp: '127.0.0.1', HostPort: '8080' },
          ],
        ],
        ['53/udp', [{ HostIp: '', HostPort: '' }]],
      ]),
    });
    expect(summary(container())['HostConfig']).toMatchObject({ PortBindings: new Map() });
  });

  test('has docker’s words for what it is and does', () => {
    expect(summary(container())).toMatchObject({
      Id: ID,
      Name: '/web',
      Path: 'sh',
      Args: ['-c', 'sleep 1000; echo very long'],
      Image: 'sha256:1',
      State: { Status: 'running', Running: true, Paused: false, Pid: 5, StartedAt: 'then', FinishedAt: '0001-01-01T00:00:00Z' },
      Config: { Image: 'app:1', Domainname: '', Env: ['A=1'], WorkingDir: '/w', User: '7', Entrypoint: null },
      HostConfig: { NetworkMode: 'isolated', Privileged: false, ShmSize: 67_108_864, PidsLimit: 0, Memory: 0, NanoCpus: 0 },
    }); // oxfmt-ignore
    expect(summary(container())['State']).not.toHaveProperty('Health');
  });

  test.each([
    ['created', { Running: false, Paused: false, Restarting: false }],
    ['paused', { Running: true, Paused: true, Restarting: false }],
    ['restarting', { Running: true, Paused: false, Restarting: true }],
    ['exited', { Running: false, Paused: false, Restarting: false }],
  ] as const)('of one that is %s', (status, wanted) => {
    expect(summary(container(), state({ status }))['State']).toMatchObject(wanted);
  });

  test('says why it ended', () => {
    const ended = (more: Partial<ContainerState>) =>
      summary(container(), state({ status: 'exited', ...more }))['State'];
    expect(ended({ exitCode: 137, oomKilled: true })).toMatchObject({ ExitCode: 137, OOMKilled: true, Error: '' });
    expect(ended({ lost: true })).toMatchObject({ Error: 'its supervisor was killed, and the container with it' });
  });

  test('what is mounted: volumes by their names, and whether they can be written to', () => {
    const mounts = [
      { type: 'bind', source: '/s/volumes/db/data', target: '/db', readonly: false, volume: 'db' },
      { type: 'bind', source: '/host', target: '/in', readonly: true },
      { type: 'tmpfs', target: '/t' },
    ];
    const { HostConfig, Mounts } = summary(container({}, { mounts }));
    expect(HostConfig).toMatchObject({ Binds: ['db:/db', '/host:/in:ro'] });
    expect(Mounts).toMatchObject([
      { Type: 'volume', Name: 'db', Destination: '/db', RW: true, Mode: '' },
      { Type: 'bind', Source: '/host', Destination: '/in', RW: false, Mode: 'ro' },
      { Type: 'tmpfs', Destination: '/t', RW: true },
    ]);
  });

  test('memory, devices, capabilities and ports in docker’s words', () => {
    const mounts = [
      { type: 'tmpfs', target: '/t', size: 65_536, mode: 0o700, uid: 7, noexec: true },
      { type: 'tmpfs', target: '/x', readonly: true },
      { type: 'device', source: '/dev/null', target: '/dev/nothing' },
    ];
    const record = {
      imageConfig: { os: 'linux', config: { ExposedPorts: { '80/tcp': {} } } },
      exposed: ['91/udp'],
      ports: parsePublish('8080:81'),
    };
    const one = summary(container(record, { mounts, capAdd: ['NET_ADMIN'], capDrop: ['ALL'] }));
    expect(one['HostConfig']).toMatchObject({
      CapAdd: ['CAP_NET_ADMIN'],
      CapDrop: ['ALL'],
      Tmpfs: new Map([
        ['/t', 'size=65536,mode=700,uid=7'],
        ['/x', 'ro,exec'],
      ]),
      Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/nothing', CgroupPermissions: 'rwm' }],
    });
    expect(one['Mounts']).toEqual([
      { Type: 'tmpfs', Source: '', Destination: '/t', Mode: '', RW: true, Propagation: '' },
      { Type: 'tmpfs', Source: '', Destination: '/x', Mode: '', RW: false, Propagation: '' },
    ]);
    const ports = ['80/tcp', '81/tcp', '91/udp'].map((port): [string, object] => [port, {}]);
    expect(one['Config']).toMatchObject({ ExposedPorts: new Map(ports) });
  });

  test('its check, with what that said; nothing where its file is not there or damaged', () => {
    const health = { test: ['x'], interval: 30_000, timeout: 1, startPeriod: 0, startInterval: 5000, retries: 3 };
    const checked = () => summary(container({ health }), state({ health: 'unhealthy' }));
    expect(checked()['Config']).toMatchObject({
      Healthcheck: { Test: ['CMD', 'x'], Interval: 30_000_000_000, Timeout: 1_000_000, Retries: 3 },
    });
    expect(checked()['State']).toMatchObject({ Health: { Status: 'unhealthy', FailingStreak: 0, Log: [] } });
    fs.writeFileSync(join(root, 'health.json'), '{"Status":"starting","FailingStreak":2,"Log":[{"ExitCode":1}]}');
    expect(checked()['State']).toMatchObject({
      Health: { Status: 'unhealthy', FailingStreak: 2, Log: [{ ExitCode: 1 }] },
    });
    fs.writeFileSync(join(root, 'health.json'), '{"Sta');
    expect(checked()['State']).toMatchObject({ Health: { FailingStreak: 0 } });
    expect(summary(container({ health }))['State']).toMatchObject({ Health: { Status: 'starting' } });
  });
});

describe('a line of ps', () => {
  const row = (one: Container, full = false, now = state()) =>
    containerRow(one, now, { now: Date.parse('2026-01-01T00:03:00Z'), full });

  test('is short, unless all is wanted', () => {
    expect(row(container())).toMatchObject({ ID: 'ab12ab12ab12', Command: '"sh -c sleep 1000; e…"', Ports: '' });
    expect(row(container(), true)).toMatchObject({ ID: ID, Command: '"sh -c sleep 1000; echo very long"' });
    expect(row(container(), true).RunningFor).toBe('3 minutes ago');
  });

  test('lists labels, directories and networks', () => {
    const networks = [{ network: 'ci', aliases: [] }, { network: 'db', aliases: [] }]; // oxfmt-ignore
    const mounts = [{ type: 'bind', source: '/a', target: '/x' }, { type: 'tmpfs', target: '/t' }]; // oxfmt-ignore
    expect(row(container({ labels: { a: '1', b: '' }, networks }, { mounts }))).toMatchObject({
      Labels: 'a=1,b=',
      Mounts: '/a',
      Networks: 'ci,db',
    });
    expect(networkNames(container({ networkOf: ID }))).toEqual(['container:ab12ab12ab12']);
    expect(networkNames(container())).toEqual(['isolated']);
  });
});

describe('inspect of a network', () => {
  const record = {
    id: 'f0'.repeat(32),
    created: '2026-01-01T00:00:00Z',
    internal: true,
    subnets: [
      { subnet: '10.89.3.0/24', gateway: '10.89.3.1' },
      { subnet: 'fd00::/64', gateway: 'fd00::1' },
    ],
    labels: { job: '7' },
    options: {},
  };
  const network = (more: object = {}): Network =>
    ({ name: 'ci', directory: root, record: { ...record, ...more } }) as unknown as Network;

  test('says who is in it, with addresses and where these end', () => {
    const members = [
      { id: ID, name: 'web', ip: '10.89.3.7', ip6: 'fd00::7', mac: '02:42:0a:59:03:07' },
      { id: 'other', name: 'db', ip: '10.89.3.255', mac: '92:d0:c6:0a:29:33' },
    ];
    const made = summarizeNetwork(network(), members as never);
    expect(made).toMatchObject({ Name: 'ci', EnableIPv6: true, Internal: true, Scope: 'local' });
    expect(made['IPAM']).toMatchObject({ Config: [{ Subnet: '10.89.3.0/24', Gateway: '10.89.3.1' }, {}] });
    expect(made['Containers']).toEqual(
      new Map([
        [ID, { Name: 'web', MacAddress: '02:42:0a:59:03:07', IPv4Address: '10.89.3.7/24', IPv6Address: 'fd00::7/64' }],
        ['other', { Name: 'db', MacAddress: '92:d0:c6:0a:29:33', IPv4Address: '10.89.3.255/24', IPv6Address: '' }],
      ]),
    );
    expect(summarizeNetwork(network({ subnets: [record.subnets[0]] }), [])).toMatchObject({ EnableIPv6: false });
  });

  test('ports of the machine are those that a container has while it runs', async () => {
    using store = Store.open(join(root, 'store'), { now: () => 0 });
    const got = [
      { protocol: 'tcp', hostPort: 8001, containerPort: 80 },
      { protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8080, containerPort: 80 },
      { protocol: 'udp', hostIp: '::1', hostPort: 5353, containerPort: 53 },
    ];
    fs.writeFileSync(join(root, 'ports.json'), JSON.stringify(got));
    const ports = async (status: ContainerState['status']): Promise<unknown> =>
      (await summarizeSettings(store, container(), state({ status })))['Ports'];
    expect(await ports('running')).toEqual(
      new Map([
        [
          '80/tcp',
          [
            { HostIp: '0.0.0.0', HostPort: '8001' },
            { HostIp: '127.0.0.1', HostPort: '8080' },
          ],
        ],
        ['53/udp', [{ HostIp: '::1', HostPort: '5353' }]],
      ]),
    );
    expect(await ports('paused')).toEqual(await ports('running'));
    // Docker's words for one that has stopped: "Ports": {}.
    expect(await ports('exited')).toEqual(new Map());
    expect(await ports('created')).toEqual(new Map());
  });

  test('a container that does not run has networks, and addresses in none of them', async () => {
    using store = Store.open(join(root, 'store'), { now: () => 0 });
    const { record: made } = await new Networks(store).create('ci', {});
    const networks = [
      { network: 'ci', aliases: ['cache'], ip: '10.89.9.9' },
      { network: 'gone', aliases: [] },
    ];
    const settings = await summarizeSettings(store, container({ networks }), state({ status: 'exited' }));
    expect([...(settings['Networks'] as Map<string, unknown>)]).toEqual([
      [
        'ci',
        expect.objectContaining({
          IPAMConfig: { IPv4Address: '10.89.9.9' },
          Aliases: ['cache'],
          DNSNames: ['web', 'cache', 'ab12ab12ab12'],
          NetworkID: made.id,
          MacAddress: '',
          IPAddress: '',
          IPPrefixLen: 0,
          Gateway: '',
        }) as unknown,
      ],
    ]);
  });
});
