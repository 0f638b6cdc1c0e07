import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Container, Networks } from '../../src/containers/index.ts';
import { parseAddress, parseSubnet } from '../../src/network/index.ts';
import { Store } from '../../src/store/index.ts';

let root = '';
let store: Store;
let networks: Networks;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-networks-'));
  store = Store.open(root, { now: () => Date.UTC(2026, 0, 1) });
  networks = new Networks(store);
});
afterEach(() => {
  store.close();
  fs.rmSync(root, { recursive: true, force: true });
});
const names = (): readonly string[] => networks.list().map(({ name }) => name);
/** A container of these networks, which has never been started. */
const member = (name: string, ...joined: readonly string[]): Container =>
  ({
    name,
    directory: join(root, 'containers', name),
    record: { networks: joined.map((network) => ({ network, aliases: [] })) },
  }) as unknown as Container;

describe('networks of a store', () => {
  test('have a subnet of their own, and are there for the next command', async () => {
    const made = await networks.create('ci', { labels: { job: '7' } });
    expect(made.record).toMatchObject({
      created: '2026-01-01T00:00:00.000Z',
      internal: false,
      labels: { job: '7' },
      options: {},
    });
    expect(made.record.subnets).toHaveLength(1);
    expect(networks.list()).toEqual([made]);
    for (const typed of ['ci', made.record.id, made.record.id.slice(0, 12)]) expect(networks.find(typed)).toEqual(made);
  });

  test('made at once overlap nowhere', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, (_, at) => networks.create(`n${at}`, { ipv6: true })));
    const subnets = made.flatMap(({ record }) => record.subnets.map(({ subnet }) => subnet));
    expect(subnets).toHaveLength(12);
    expect(new Set(subnets).size).toBe(12);
    for (const { record } of made) expect(record.subnets[1]?.subnet).toMatch(/^fd[0-9a-f]{2}:.*::\/64$/);
  });

  test('take the subnet that is wanted, of each family one', async () => {
    const subnet = parseSubnet('198.51.100.0/24');
    const gateway = parseAddress('198.51.100.77')!;
    const { record } = await networks.create('given', { subnets: [{ subnet, gateway }], internal: true });
    expect(record.subnets).toEqual([{ subnet: '198.51.100.0/24', gateway: '198.51.100.77' }]);
    expect(record.internal).toBe(true);
    const six = await networks.create('six', { subnets: [{ subnet: parseSubnet('2001:db8::/64') }], ipv6: true });
    expect(six.record.subnets.map(({ subnet: text }) => text)).toEqual([
      expect.stringMatching(/^\d+\.\d+\.\d+\.0\/24$/),
      '2001:db8::/64',
    ]);
    await expect(networks.create('again', { subnets: [{ subnet }] })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringContaining('given') as string,
    });
    await expect(networks.create('two', { subnets: [{ subnet }, { subnet }] })).rejects.toThrow('two subnets of IPv4');
    expect(names()).toEqual(['given', 'six']);
    const range = parseSubnet('203.0.113.128/25');
    const ranged = await networks.create('ranged', { subnets: [{ subnet: parseSubnet('203.0.113.0/24'), range }] });
    expect(ranged.record.subnets).toEqual([
      { subnet: '203.0.113.0/24', gateway: '203.0.113.1', range: '203.0.113.128/25' },
    ]);
    await expect(
      networks.create('strays', { subnets: [{ subnet: parseSubnet('192.0.2.0/24'), range }] }),
    ).rejects.toThrow('Cannot use range 203.0.113.128/25: it is no part of subnet 192.0.2.0/24');
  });

  test('names are words that mean nothing else, and one network’s', async () => {
    for (const name of ['', '..', 'a/b', '-a', 'a b', 'x'.repeat(129)])
      await expect((async () => networks.create(name, {}))()).rejects.toMatchObject({ code: 'TSB_USAGE' });
    for (const name of ['host', 'none', 'container', 'default', 'bridge', 'private'])
      await expect((async () => networks.create(name, {}))()).rejects.toThrow('that name has a meaning');
    await networks.create('ci', {});
    await expect(networks.create('ci', {})).rejects.toMatchObject({
      message: 'Cannot make network ci: there is one of that name',
      hint: 'use it, or remove it: tsbuild network rm ci',
    });
    expect(names()).toEqual(['ci']);
  });

  test('one that is not there is told, with what to type', async () => {
    expect(() => networks.find('ci')).toThrow(
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        hint: expect.stringContaining('"tsbuild network create ci"') as string,
      }),
    );
    expect(() => networks.find('../ci')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('create NAME') as string }),
    );
    await networks.create('backend', {});
    expect(() => networks.find('backnd')).toThrow(expect.objectContaining({ hint: 'did you mean "backend"?' }));
  });

  test('the beginning of several ids is none', async () => {
    const [one, two] = [await networks.create('one', {}), await networks.create('two', {})];
    for (const { directory, record } of [one, two])
      fs.writeFileSync(join(directory, 'network.json'), JSON.stringify({ ...record, id: `abc${record.id.slice(3)}` }));
    expect(() => networks.lookUp('abc')).toThrow('2 ids begin with abc');
    // A name goes first, also one that is all hex digits.
    await networks.create('abc', {});
    expect(networks.lookUp('abc')?.name).toBe('abc');
  });

  test('the default one is made once, whoever asks, and stays', async () => {
    const found = await Promise.all(Array.from({ length: 4 }, () => new Networks(store).findDefault()));
    expect(new Set(found.map(({ record }) => record.id)).size).toBe(1);
    expect(networks.removable()).toEqual([]);
    await expect(networks.remove(found[0]!, [])).rejects.toThrow('it is the default one');
    expect(names()).toEqual(['bridge']);
  });

  test('are removed unless a container is in them, and removing twice is removing', async () => {
    const ci = await networks.create('ci', {});
    await expect(networks.remove(ci, [member('web', 'other', 'ci')])).rejects.toMatchObject({
      code: 'TSB_STORE',
      message: 'Cannot remove network ci: container web is in it',
      hint: expect.stringContaining('tsbuild network disconnect ci web') as string,
    });
    await expect(networks.remove(ci, [member('web', 'ci'), member('db', 'ci')])).rejects.toThrow(
      'container web and container db are in it',
    );
    await networks.remove(ci, [member('web', 'other')]);
    await networks.remove(ci, []);
    expect(names()).toEqual([]);
    expect(fs.readdirSync(networks.root)).toEqual([]);
  });

  test('what killed commands left half made or removed is swept by the next one that makes one', async () => {
    fs.mkdirSync(join(networks.root, '.new-1'), { recursive: true });
    fs.mkdirSync(join(networks.root, '.gone-1'));
    fs.mkdirSync(join(networks.root, 'half'));
    expect(names()).toEqual([]);
    await networks.create('ci', {});
    expect(fs.readdirSync(networks.root).toSorted()).toEqual(['ci', 'half']);
  });
});
