import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { type ContainerRecord, Containers, Networks } from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';

// What is written of networks: they get a process only when a container is started in one.
let root = '';
let now = 0;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-network-cli-'));
  now = Date.UTC(2026, 0, 1);
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const storePath = (): string => join(root, 'store');
async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const context = fakeContext({
    cwd: root,
    uid: process.getuid?.() ?? 0,
    env: { TSBUILD_ROOT: storePath(), HOME: root, ...env },
    now: () => now,
  });
  const code = await runCli(['network', ...words], context);
  return { code, out: context.out(), err: context.err() };
}
async function ok(...words: string[]): Promise<string> {
  const { code, out, err } = await run(words);
  expect(code, err).toBe(0);
  return out;
}
const lines = async (...words: string[]): Promise<readonly string[]> =>
  (await ok(...words)).split('\n').filter(Boolean);
const names = (...words: string[]): Promise<readonly string[]> => lines('ls', '--format', '{{.Name}}', ...words);
const inspect = async (...which: string[]): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse(await ok('inspect', ...which)) as Record<string, unknown>[];

async function inStore<T>(work: (store: Store) => Promise<T> | T): Promise<T> {
  using store = Store.open(storePath(), { now: () => now });
  return await work(store);
}
/** A container that is in networks, and does not run. */
function container(name: string, ...networks: readonly string[]): Promise<unknown> {
  const record = {
    format: 1,
    id: Buffer.from(name).toString('hex').padEnd(64, '0'),
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
    labels: {},
    step: { args: ['true'], network: 'isolated' },
    networks: networks.map((network) => ({ network, aliases: [] })),
  } as unknown as ContainerRecord;
  return inStore((store) => new Containers(store).create(record, name, { layers: [], blobs: [] }, 0));
}

describe('network create', () => {
  test('prints the id by which the network is known from then on', async () => {
    const [id = ''] = await lines('create', 'ci', '--label', 'job=7', '--opt', 'com.example=1', '--internal');
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    for (const typed of ['ci', id, id.slice(0, 12)])
      expect(await inspect(typed)).toEqual([
        expect.objectContaining({
          Name: 'ci',
          Id: id,
          Driver: 'bridge',
          Scope: 'local',
          Internal: true,
          Created: '2026-01-01T00:00:00.000Z',
          Labels: { job: '7' },
          Options: { 'com.example': '1' },
          Containers: {},
        }),
      ]);
  });

  test('has the subnets and gateways that were asked for, one of each family', async () => {
    const six = ['--subnet', '2001:db8:7::/64', '--gateway', '2001:db8:7::9'];
    await ok('create', 'both', '--subnet', '198.51.100.0/25', '--gateway', '198.51.100.3', ...six);
    expect(await inspect('both')).toMatchObject([
      {
        EnableIPv6: true,
        IPAM: {
          Config: [
            { Subnet: '198.51.100.0/25', Gateway: '198.51.100.3' },
            { Subnet: '2001:db8:7::/64', Gateway: '2001:db8:7::9' },
          ],
        },
      },
    ]);
  });

  test.each<readonly [args: readonly string[], message: RegExp]>([
    [['--driver', 'overlay'], /Cannot use --driver "overlay": bridge is the only one\nhint: .*--network host/],
    [['--gateway', 'here', '--subnet', '198.51.100.0/24'], /Cannot use --gateway "here": expected an address/],
    [
      ['--subnet', '198.51.100.0/24', '--gateway', '198.51.100.1', '--gateway', '198.51.100.2'],
      /Cannot use several --gateway of IPv4: a network has one/,
    ],
    [['--gateway', '198.51.100.1'], /Cannot use --gateway without a --subnet of IPv4 that it is in/],
    [
      ['--gateway', '2001:db8::1', '--subnet', '198.51.100.0/24'],
      /Cannot use --gateway without a --subnet of IPv6 that it is in/,
    ],
    [['--subnet', '198.51.100.0'], /subnet/i],
    [
      ['--subnet', '198.51.100.0/24', '--gateway', '203.0.113.1'],
      /Cannot use subnet 198\.51\.100\.0\/24: the gateway is no address of a host in it\nhint: /,
    ],
  ])('%j is refused, and makes nothing', async (args, message) => {
    const { code, out, err } = await run(['create', 'ci', ...args]);
    expect(code).not.toBe(0);
    expect(out).toBe('');
    expect(err).toMatch(message);
    expect(await names()).toEqual([]);
  });

  test('of a name that is taken is an error; with --ignore it gives the id of the one that is there', async () => {
    const id = await ok('create', 'ci');
    const again = await run(['create', 'ci']);
    expect(again.code).not.toBe(0);
    expect(again.err).toBe(
      'error: Cannot make network ci: there is one of that name\nhint: use it, or remove it: tsbuild network rm ci\n',
    );
    expect(await ok('create', 'ci', '--ignore', '--internal')).toBe(id);
    expect(await inspect('ci')).toMatchObject([{ Internal: false }]);
  });

  test('goes with a scope: that of the option before that of the environment', async () => {
    await run(['create', 'one'], { TSBUILD_SCOPE: 'job-1' });
    await run(['create', 'two', '--scope', 'job-2'], { TSBUILD_SCOPE: 'job-1' });
    await run(['create', 'three'], { TSBUILD_SCOPE: '' });
    expect(await names('--filter', 'scope=job-1')).toEqual(['one']);
    expect(await names('--filter', 'scope=job-2')).toEqual(['two']);
    expect(await names('--filter', 'scope=local')).toEqual(['one', 'three', 'two']);
  });
});

describe('network ls', () => {
  beforeEach(async () => {
    await ok('create', 'back', '--label', 'tier=back', '--ipv6');
    now += 3_600_000;
    await ok('create', 'front', '--label', 'tier=front', '--internal');
    await container('web', 'front');
  });

  test('is a table as docker has it, with ids in short unless they are wanted whole', async () => {
    const [header = '', first = '', second = ''] = await lines('ls');
    expect(header).toMatch(/^NETWORK ID\s+NAME\s+DRIVER\s+SCOPE\s*$/);
    expect(first).toMatch(/^[0-9a-f]{12}\s+back\s+bridge\s+local\s*$/);
    expect(second).toMatch(/^[0-9a-f]{12}\s+front\s+bridge\s+local\s*$/);
    const [whole = ''] = await lines('ls', '-q', '--no-trunc');
    expect(whole).toMatch(/^[0-9a-f]{64}$/);
    expect((await lines('ls', '-q'))[0]).toBe(whole.slice(0, 12));
    expect(JSON.parse(await ok('ls', '--format=json'))).toEqual([
      expect.objectContaining({ Name: 'back', IPv6: 'true', Internal: 'false', Labels: 'tier=back' }),
      expect.objectContaining({ Name: 'front', IPv6: 'false', Internal: 'true' }),
    ]);
  });

  test.each<readonly [filters: readonly string[], expected: readonly string[]]>([
    [['name=ron'], ['front']],
    // Of one name any may hold, of several all must.
    [
      ['name=front', 'name=back'],
      ['back', 'front'],
    ],
    [['name=front', 'label=tier=back'], []],
    [['label=tier'], ['back', 'front']],
    [['dangling=true'], ['back']],
    [['dangling=0'], ['front']],
    [['type=custom'], ['back', 'front']],
    [['type=builtin'], []],
    [['driver=bridge'], ['back', 'front']],
    [['driver=host'], []],
    [['until=30m'], ['back']],
  ])('--filter %j leaves %j', async (filters, expected) => {
    expect(await names(...filters.flatMap((filter) => ['--filter', filter]))).toEqual(expected);
  });

  // Docker: "The id filter matches on all or part of a network's ID."
  test('--filter id finds a network by any part of its id', async () => {
    const ids = (await ok('ls', '--no-trunc', '--format', '{{.ID}} {{.Name}}')).trimEnd().split('\n');
    for (const [id = '', name] of ids.map((line) => line.split(' ')))
      for (const part of [id, id.slice(0, 12), id.slice(20, 50)])
        expect(await names('--filter', `id=${part}`)).toEqual([name]);
    expect(await names('--filter', 'id=xyz')).toEqual([]);
  });

  test('a filter that there is not is refused with those that there are', async () => {
    for (const filter of ['color=red', 'dangling=perhaps', 'type=own', 'type=', 'name']) {
      const { code, err } = await run(['ls', '--filter', filter]);
      expect(code).not.toBe(0);
      expect(err).toContain(`error: Cannot use --filter ${JSON.stringify(filter)}: `);
    }
  });
});

describe('network inspect', () => {
  test('fills in a template, and names what is not there beside the rest', async () => {
    await ok('create', 'ci', '--subnet', '198.51.100.0/24');
    expect(await ok('inspect', 'ci', '--format', '{{.Name}} {{(index .IPAM.Config 0).Subnet}}')).toBe(
      'ci 198.51.100.0/24\n',
    );
    for (const format of ['json', ''])
      expect(await ok('inspect', 'ci', `--format=${format}`)).toBe(await ok('inspect', 'ci'));
    const { code, out, err } = await run(['inspect', 'other', 'ci']);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject([{ Name: 'ci' }]);
    expect(await run(['inspect', 'other'])).toMatchObject({ code: 1, out: '[]\n' });
    expect(await run(['inspect', '-f', '{{.Name}}', 'other'])).toMatchObject({ code: 1, out: '' });
    expect(err).toContain('error: No such network: other\nhint: make it ("tsbuild network create other")');
  });
});

describe('network rm and prune', () => {
  test('one that a container is in, or that is not there, does not keep the others', async () => {
    for (const name of ['one', 'two', 'used']) await ok('create', name);
    await container('web', 'used');
    const { code, out, err } = await run(['rm', 'one', 'used', 'nowhere', 'two']);
    expect(code).toBe(1);
    expect(out).toBe('one\ntwo\n');
    expect(err).toContain('error: Cannot remove network used: container web is in it\nhint: ');
    expect(err).toContain('error: No such network: nowhere\n');
    expect(await names()).toEqual(['used']);
    expect(await run(['rm', '--force', 'nowhere'])).toEqual({ code: 0, out: '', err: '' });
  });

  test('prune removes what nobody is in, but the default network; by filters not even that', async () => {
    await inStore((store) => new Networks(store).findDefault());
    for (const name of ['one', 'two', 'used']) await ok('create', name, '--label', `n=${name}`);
    await container('web', 'used');
    expect(await lines('prune', '--filter', 'label=n=two')).toEqual(['two']);
    expect(await lines('prune', '--filter', 'until=1h')).toEqual([]);
    expect(await lines('prune')).toEqual(['one']);
    expect(await names()).toEqual(['bridge', 'used']);
    const kept = await run(['rm', 'bridge']);
    expect(kept.code).toBe(1);
    expect(kept.err).toContain('it is the default one');
  });
});
