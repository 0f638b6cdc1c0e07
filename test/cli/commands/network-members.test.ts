import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attachmentsOf, type ContainerRecord, Containers, Networks } from '../../../src/containers/index.ts';
import { parseSubnet } from '../../../src/network/index.ts';
import { Store } from '../../../src/store/index.ts';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

// Containers that do not run: what joins a network is written down, and a network gets no process.
let dir: TempDir;
const { run, ok } = commandIn(() => dir.path, {}, ['network']);
const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0');

async function inStore<T>(work: (store: Store) => Promise<T> | T): Promise<T> {
  using store = Store.open(join(dir.path, 'store'), { now: () => 0 });
  return await work(store);
}
const attachments = (name: string) => inStore((store) => attachmentsOf(new Containers(store).find(name)));

const record = (name: string, more: object): ContainerRecord =>
  ({
    format: 1,
    id: idOf(name),
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
    imageConfig: { os: 'linux', config: {} },
    restart: { name: 'no', most: 0 },
    labels: {},
    stopSignal: 'SIGTERM',
    stopTimeout: 10,
    step: { args: ['true'], network: 'isolated', env: [], mounts: [], cwd: '/', user: '', hostname: 'h' },
    ...more,
  }) as unknown as ContainerRecord;
const make = (name: string, more: object) =>
  inStore((store) => new Containers(store).create(record(name, more), name, { layers: [], blobs: [] }, 0));

beforeEach(async () => {
  dir = new TempDir();
  await inStore(async (store) => {
    const subnets = (...texts: readonly string[]) => ({
      subnets: texts.map((text) => ({ subnet: parseSubnet(text) })),
    });
    const networks = new Networks(store);
    await networks.create('back', subnets('10.77.7.0/24'));
    await networks.create('front', subnets('10.77.8.0/24', 'fd00:77::/64'));
    const db = record('db', { networks: [{ network: 'back', aliases: [] }] });
    new Containers(store).create(db, 'db', { layers: [], blobs: [] }, 0);
  });
});
afterEach(() => dir[Symbol.dispose]());

describe('network connect', () => {
  test('puts a container into a further network, with what it is called there and its addresses', async () => {
    const words = ['--alias', 'store', '--alias', 'cache', '--ip', '10.77.8.9', '--ip6', 'fd00:77::9'];
    expect(await ok('connect', ...words, 'front', 'db')).toBe('');
    expect(await attachments('db')).toEqual([
      { network: 'back', aliases: [] },
      { network: 'front', aliases: ['store', 'cache'], ip: '10.77.8.9', ip6: 'fd00:77::9' },
    ]);
  });

  test('takes ids, whole or their beginnings, as docker does', async () => {
    const id = await inStore((store) => new Networks(store).find('front').record.id);
    await ok('connect', id.slice(0, 12), idOf('db').slice(0, 12));
    expect((await attachments('db')).map(({ network }) => network)).toEqual(['back', 'front']);
  });

  test('makes the default network where nobody has used it yet', async () => {
    await ok('connect', 'bridge', 'db');
    expect(await ok('ls', '--format', '{{.Name}}')).toMatch(/^bridge$/m);
    expect((await attachments('db')).map(({ network }) => network)).toEqual(['back', 'bridge']);
  });

  test.each<[readonly string[], number, string]>([
    [['back', 'db'], 2, 'Cannot connect db with network back: it is in it\nhint: to change how, leave it first: tsbuild network disconnect back db'],
    [['none-such', 'db'], 1, 'No such network: none-such'],
    [['front', 'none-such'], 1, 'No such container: none-such'],
    [['--ip', '10.77.7.9', 'front', 'db'], 2, 'Cannot use address 10.77.7.9: it is none of network front\nhint: its addresses are those of 10.77.8.0/24 and fd00:77::/64'],
    [['--ip', 'fd00:77::9', 'front', 'db'], 2, 'Cannot use --ip "fd00:77::9": expected an IPv4 address'],
    [['--ip6', '10.77.8.9', 'front', 'db'], 2, 'Cannot use --ip6 "10.77.8.9": expected an IPv6 address'],
    [['--ip', 'x', 'front', 'db'], 2, 'Cannot use --ip "x"'],
    [['--alias', 'a b', 'front', 'db'], 2, 'Cannot use alias "a b"'],
    [['--alias', '', 'front', 'db'], 2, 'Cannot use alias ""'],
    [['front'], 2, 'missing required argument'],
  ])('%j is refused', async (words, code, why) => {
    const said = await run('connect', ...words);
    expect([said.code, said.out]).toEqual([code, '']);
    expect(said.err).toContain(why);
    expect(await attachments('db')).toEqual([{ network: 'back', aliases: [] }]);
  });

  // Docker: "cannot attach both user-defined and non-user-defined network-modes".
  test.each<[string, object, string]>([
    ['host', { step: { args: ['x'], network: 'host' } }, "its network is the machine's"],
    ['none', { step: { args: ['x'], network: 'none' } }, 'its network is its own alone'],
    ['private', {}, 'its network is its own alone'],
    ['shared', { networkOf: idOf('db') }, 'its network is that of another container'],
  ])('a container whose network is %s is in no other', async (name, more, why) => {
    await make(name, more);
    const { code, err } = await run('connect', 'front', name);
    expect(code).toBe(2);
    expect(err).toContain(`Cannot connect ${name} with network front: ${why}\nhint: make it in one: tsbuild run --network front`);
  });
}); // oxfmt-ignore

describe('network disconnect', () => {
  test('takes a container out of one network, and leaves it in the others', async () => {
    await ok('connect', 'front', 'db');
    expect(await ok('disconnect', 'back', 'db')).toBe('');
    expect(await attachments('db')).toEqual([{ network: 'front', aliases: [] }]);
    await ok('disconnect', 'front', 'db');
    expect(await attachments('db')).toEqual([]);
    // A network that nobody is in can be removed, and one that is in none can join again.
    await ok('rm', 'back');
    await ok('connect', 'front', 'db');
  });

  test.each<[readonly string[], number, string]>([
    [['front', 'db'], 2, 'Cannot disconnect db from network front: it is not in it'],
    [['none-such', 'db'], 1, 'No such network: none-such'],
    [['back', 'none-such'], 1, 'No such container: none-such'],
  ])('%j is an error, and none with --force', async (words, code, why) => {
    const said = await run('disconnect', ...words);
    expect([said.code, said.out]).toEqual([code, '']);
    expect(said.err).toContain(why);
    expect(await run('disconnect', '--force', ...words)).toEqual({ code: 0, out: '', err: '' });
    expect(await attachments('db')).toEqual([{ network: 'back', aliases: [] }]);
  });
});
