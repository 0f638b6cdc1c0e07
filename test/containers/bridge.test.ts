import fs from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BridgeLink, startBridge } from '../../src/containers/bridge.ts';
import { encodeFrame } from '../../src/containers/frames.ts';
import type { Network } from '../../src/containers/index.ts';
import { fakeHelper, listenIn, PLAN } from './support/fake-helper.ts';

let directory = '';
const servers: Server[] = [];
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'tsbuild-bridge-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
  fs.rmSync(directory, { recursive: true });
});

/** What stands for the process of a network: it does this with whoever connects. */
async function processOf(greet: (socket: Socket) => void): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    greet(socket);
  });
  servers.push(server);
  await listenIn(server, directory);
  return sockets;
}
const network = (more: object = {}): Network =>
  ({
    name: 'ci',
    directory,
    record: { internal: true, subnets: [{ subnet: '198.51.100.0/24', gateway: '198.51.100.1' }], ...more },
  }) as unknown as Network;
const table = (...lines: readonly string[]): Buffer => encodeFrame('t', lines.join('\n'));
const closed = (socket: Socket | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (socket === undefined || socket.closed) resolve();
    else socket.once('close', () => resolve());
  });

describe('a connection to the process of a network', () => {
  test('is none where there is no directory, no socket, or nobody who listens', async () => {
    expect(await BridgeLink.open({ directory: join(directory, 'gone') })).toBeUndefined();
    expect(await BridgeLink.open({ directory })).toBeUndefined();
    fs.writeFileSync(join(directory, 'socket'), '');
    expect(await BridgeLink.open({ directory })).toBeUndefined();
  });

  test('is none when the process ends without a greeting, as one that was about to end does', async () => {
    await processOf((socket) => socket.end());
    expect(await BridgeLink.open({ directory })).toBeUndefined();
  });

  test('knows who is there and whether it leads outside, from a table in pieces of any size', async () => {
    const bytes = table(
      'network ci 1',
      'mac id-1 02:00:00:00:00:07',
      'at id-1 web 198.51.100.2 2001:db8::2 www front',
      'at id-2 db - -',
      'other x',
    );
    await processOf((socket) => {
      for (const byte of bytes) socket.write(Buffer.of(byte));
    });
    using link = await BridgeLink.open({ directory });
    expect(link?.hasOutside).toBe(true);
    expect(link?.members).toEqual([
      {
        id: 'id-1',
        name: 'web',
        ip: '198.51.100.2',
        ip6: '2001:db8::2',
        mac: '02:00:00:00:00:07',
        aliases: ['www', 'front'],
      },
      { id: 'id-2', name: 'db', ip: undefined, ip6: undefined, mac: '', aliases: [] },
    ]);
  });

  test('minds only tables, and takes the last one', async () => {
    const sockets = await processOf((socket) => {
      socket.write(Buffer.concat([encodeFrame('x', 'network ci 1'), table('network ci 0', 'at a web - -')]));
    });
    using link = await BridgeLink.open({ directory });
    expect([link?.hasOutside, link?.members.map(({ id }) => id)]).toEqual([false, ['a']]);
    sockets[0]?.write(table('network ci 0', 'at b db - -'));
    await link?.await(['b'], 20_000);
    expect(link?.members.map(({ id }) => id)).toEqual(['b']);
  });

  test('waits until all are there, and no longer than it was told', async () => {
    const sockets = await processOf((socket) => socket.write(table('at a web - -')));
    using link = await BridgeLink.open({ directory });
    if (link === undefined) throw new Error('Nobody greeted');
    // Those who never come are not waited for.
    await link.await(['a', 'never'], 30);
    expect(link.members).toHaveLength(1);
    const both = link.await(['a', 'b'], 20_000);
    sockets[0]?.write(table('at a web - -', 'at b db - -'));
    await both;
    expect(link.members.map(({ name }) => name)).toEqual(['web', 'db']);
  });

  test('ends when it is let go of, by which the process knows that nobody needs it', async () => {
    const sockets = await processOf((socket) => socket.write(table()));
    const link = await BridgeLink.open({ directory });
    link?.[Symbol.dispose]();
    await closed(sockets[0]);
    expect(sockets).toHaveLength(1);
  });
});

describe('the process of a network', () => {
  const start = (script: string, of: Network = network()): Promise<BridgeLink> =>
    startBridge({ network: of, helperPath: fakeHelper(directory, script), plan: PLAN, beside: [] });

  test('is told its directory, name, subnets and gateways, and is connected to when it is ready', async () => {
    await processOf((socket) => socket.write(table('at a web - -')));
    const subnets = [
      { subnet: '198.51.100.0/24', gateway: '198.51.100.1' },
      { subnet: '2001:db8::/64', gateway: '2001:db8::1' },
    ];
    using link = await start(`printf '%s\\n' "$@" > ${directory}/args; echo ready >&4`, network({ subnets }));
    expect(link.members.map(({ name }) => name)).toEqual(['web']);
    const words = fs.readFileSync(join(directory, 'args'), 'utf8').trimEnd().split('\n');
    expect(words.slice(0, 3)).toEqual(['here', '--parent', String(process.pid)]);
    const own = words.slice(words.indexOf('bridge'));
    expect(own.join(' ')).toBe(
      `bridge --directory ${directory} --name ci --root 0 --subnet 198.51.100.0/24 --gateway 198.51.100.1 ` +
        '--subnet6 2001:db8::/64 --gateway6 2001:db8::1 --internal 1',
    );
  });

  test.each<readonly [what: string, script: string, why: string]>([
    ['says why it cannot be', "echo 'error 1 bridge no room for it' >&4", 'no room for it'],
    ['only wrote a log', 'echo first; echo the last word >&2', 'the last word'],
    ['says nothing', 'true', 'its process ended without a word'],
    ['is killed', 'kill -9 $$', 'its process ended without a word'],
    ['says that it is ready, and is gone', 'echo ready >&4', 'its process ended without a word'],
  ])('that %s is an error, with what it said', async (_, script, why) => {
    await expect(start(script)).rejects.toMatchObject({
      code: 'TSB_SANDBOX',
      message: `Cannot start network ci: ${why}`,
      hint: '"tsbuild doctor" says what this machine allows',
    });
  });

  test('that cannot be executed is an error, and never waited for', async () => {
    const options = { network: network(), helperPath: join(directory, 'nowhere'), plan: PLAN, beside: [] };
    await expect(startBridge(options)).rejects.toThrow('Cannot start network ci: ');
  });

  test('of an earlier start has no word in the log of this one', async () => {
    fs.writeFileSync(join(directory, 'bridge.log'), 'what was wrong last year\n');
    await expect(start('true')).rejects.toThrow('ended without a word');
  });
});
