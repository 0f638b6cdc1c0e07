import fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrame } from '../../src/containers/frames.ts';
import {
  type Container,
  type ContainerRecord,
  Containers,
  type Network,
  Networks,
} from '../../src/containers/index.ts';
import {
  joinNetworks,
  mendNetworks,
  type NetworkMaker,
  openNetworks,
  ownerOf,
} from '../../src/containers/join-networks.ts';
import { Store } from '../../src/store/index.ts';
import { fakeHelper, listenIn, PLAN } from './support/fake-helper.ts';

let root = '';
let store: Store;
let containers: Containers;
const servers: Server[] = [];
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-join-'));
  store = Store.open(join(root, 'store'), { now: () => 0 });
  containers = new Containers(store);
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
  store.close();
  fs.rmSync(root, { recursive: true });
});

const idOf = (letter: string): string => letter.repeat(64);
function container(letter: string, more: Partial<ContainerRecord> = {}): Container {
  const record = {
    format: 1,
    id: idOf(letter),
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
    labels: {},
    step: { args: ['true'], network: 'isolated', hostname: letter },
    ...more,
  } as unknown as ContainerRecord;
  containers.create(record, `name-${letter}`, { layers: [], blobs: [] }, 0);
  return containers.find(`name-${letter}`);
}
/** A helper that notes that it was started, and does no more. */
const maker = (script = ''): NetworkMaker => ({
  store,
  helperPath: fakeHelper(root, `echo start >> ${root}/starts\n${script}`),
  plan: PLAN,
});
const starts = (): number => {
  const file = join(root, 'starts');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n').length : 0;
};
const create = (name: string): Promise<Network> => new Networks(store).create(name, { internal: true });
/** The process of a network, which is there. */
async function running({ directory }: Network, text = ''): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    socket.write(encodeFrame('t', text));
  });
  servers.push(server);
  await listenIn(server, directory);
  return sockets;
}
const closed = (socket: Socket | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (socket === undefined || socket.closed) resolve();
    else socket.once('close', () => resolve());
  });

describe('whose network a container uses', () => {
  test('is found by way of others', () => {
    const owner = container('a');
    container('b', { networkOf: owner.id });
    const last = container('c', { networkOf: idOf('b') });
    expect(ownerOf(containers, last, idOf('b')).id).toBe(owner.id);
  });

  test('that goes round in a circle is refused, and names both', () => {
    container('a', { networkOf: idOf('b') });
    const second = container('b', { networkOf: idOf('a') });
    expect(() => ownerOf(containers, second, idOf('a'))).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: 'Cannot use the network of container name-b: it uses that of name-b',
      }),
    );
    const self = container('c', { networkOf: idOf('c') });
    expect(() => ownerOf(containers, self, idOf('c'))).toThrow('it uses that of name-c');
  });

  test('that is gone is told by its short id, with what to do', () => {
    const one = container('a', { networkOf: idOf('f') });
    expect(() => ownerOf(containers, one, idOf('f'))).toThrow(
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        message: 'Cannot use the network of container ffffffffffff: it is not there any more',
        hint: 'make name-a anew, with another --network: "tsbuild rm name-a" takes this one away',
      }),
    );
  });

  test('but which does not run is an error with the command that starts it', async () => {
    container('a');
    const one = container('b', { networkOf: idOf('a') });
    await expect(joinNetworks(maker(), one)).rejects.toMatchObject({
      code: 'TSB_STEP',
      message: 'Cannot start name-b: it uses the network of name-a, which does not run',
      hint: 'start that first: tsbuild start name-a',
    });
  });
});

describe('joining networks', () => {
  test('is nothing for a container that has neither networks nor that of another', async () => {
    expect(await joinNetworks(maker(), container('a'))).toBeUndefined();
    expect(starts()).toBe(0);
  });

  test('holds the processes that are there until it is let go of, and starts none', async () => {
    const [one, two] = [await create('one'), await create('two')];
    const sockets = [await running(one), await running(two)];
    const member = container('a', {
      networks: [
        { network: 'one', aliases: ['web'], ip: '198.51.100.7' },
        { network: 'two', aliases: [] },
      ],
    });
    const joined = await joinNetworks(maker(), member);
    expect(joined?.beside).toEqual([one.directory, two.directory]);
    const words = joined?.network.arguments(['contain']) ?? [];
    const joins = words.filter((_, at) => words[at - 1] === '--join');
    expect(joins).toEqual([
      `network ${one.directory}\nid ${member.id}\nname name-a\nalias web\nip 198.51.100.7`,
      `network ${two.directory}\nid ${member.id}\nname name-a`,
    ]);
    expect(words.slice(-2)).toEqual(['--', 'contain']);
    // Its name server knows its own name.
    expect(joined?.hosts).toMatch(/^127\.0\.0\.1\s+localhost/);
    expect(joined?.hosts).not.toContain('name-a');
    expect(sockets.map((each) => each.some((socket) => !socket.closed))).toEqual([true, true]);
    joined?.[Symbol.dispose]();
    await Promise.all(sockets.flat().map(closed));
    expect(starts()).toBe(0);
  });

  test('says nothing of a way outside where only internal networks are joined', async () => {
    await running(await create('inner'), 'network inner 0');
    const told: unknown[] = [];
    const member = container('a', { networks: [{ network: 'inner', aliases: [] }] });
    using joined = await joinNetworks(maker(), member, (why) => told.push(why));
    expect(joined).toBeDefined();
    expect(told).toEqual([]);
  });

  test('of a network that was meant to lead outside and does not says why, once', async () => {
    const outer = await new Networks(store).create('outer', {});
    await running(outer, 'network outer 0');
    await running(await create('inner'), 'network inner 0');
    const told: { readonly reason: string; readonly fix: string }[] = [];
    const networks = ['outer', 'inner'].map((network) => ({ network, aliases: [] }));
    using joined = await joinNetworks(maker(), container('a', { networks }), (why) => told.push(why));
    expect(joined).toBeDefined();
    expect(told).toEqual([{ reason: expect.any(String) as string, fix: expect.any(String) as string }]);
  });

  test('a network that is gone is an error before any process is started', async () => {
    await create('one');
    const networks = ['one', 'gone'].map((network) => ({ network, aliases: [] }));
    await expect(joinNetworks(maker(), container('a', { networks }))).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: 'No such network: gone',
    });
    expect(starts()).toBe(0);
  });
});

describe('opening networks', () => {
  test('lets go of those that are open when one cannot be started, and of the lock', async () => {
    const [one, two] = [await create('one'), await create('two')];
    const sockets = await running(one);
    await expect(openNetworks(maker("echo 'error 1 bridge refused' >&4"), [one, two])).rejects.toThrow(
      'Cannot start network two: refused',
    );
    await closed(sockets[0]);
    expect(starts()).toBe(1);
    // The next command is not kept waiting.
    await (await new Networks(store).lock())[Symbol.asyncDispose]();
  });

  test('of none starts none', async () => {
    expect(await openNetworks(maker(), [])).toEqual([]);
    expect(starts()).toBe(0);
  });
});

describe('mending networks', () => {
  test('starts nothing for containers that do not run, and nothing where a network has its process', async () => {
    const ci = await create('ci');
    await mendNetworks(maker());
    const member = container('a', { networks: [{ network: 'ci', aliases: [] }] });
    await mendNetworks(maker());
    // What was running when the machine went down.
    fs.writeFileSync(join(member.directory, 'state.json'), JSON.stringify({ status: 'running', pid: 1 }));
    fs.writeFileSync(join(member.directory, 'network.socket'), '');
    await mendNetworks(maker());
    const sockets = await running(ci);
    await mendNetworks(maker());
    await Promise.all(sockets.map(closed));
    expect(starts()).toBe(0);
  });

  test('starts again the process of a network whose containers run', async () => {
    await create('ci');
    await create('other');
    const member = container('a', { networks: [{ network: 'ci', aliases: [] }] });
    fs.writeFileSync(join(member.directory, 'network.socket'), '');
    fs.writeFileSync(join(member.directory, 'state.json'), JSON.stringify({ status: 'running', pid: process.pid }));
    // Its supervisor listens.
    await running({ directory: member.directory } as Network);
    await expect(mendNetworks(maker("echo 'error 1 bridge not here' >&4"))).rejects.toThrow(
      'Cannot start network ci: not here',
    );
    expect(starts()).toBe(1);
  });
});
