import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { findHelper } from '../../src/sandbox/index.ts';
import { freePorts } from '../support/free-port.ts';

/** Ports that are taken for a test. */
const taken: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of taken.splice(0)) one.close();
});

async function listen(port: number): Promise<void> {
  const server: Server = createServer();
  taken.push(server);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
}

/** What the helper says of ports: which each got, or the error. */
function publish(...words: readonly string[]): readonly string[] {
  const { output } = spawnSync(findHelper(), ['publish', ...words, '--', '/bin/true'], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  return (output[4] ?? '').trimEnd().split('\n');
}

describe('a range of ports of the machine', () => {
  test('gives the first that is free', async () => {
    const first = await freePorts(4);
    const range = `${first}-${first + 3}`;
    expect(publish('--tcp', '127.0.0.1', range)).toEqual([`port 0 ${first}`]);
    await listen(first);
    await listen(first + 1);
    expect(publish('--tcp', '127.0.0.1', range)).toEqual([`port 0 ${first + 2}`]);
    // Taken for one protocol, it is free for the other.
    expect(publish('--udp', '127.0.0.1', range)).toEqual([`port 0 ${first}`]);
  });

  test('gives a port that nobody has at any of the addresses, where none is named', async () => {
    const first = await freePorts(2);
    await listen(first);
    expect(publish('--tcp', '*', `${first}-${first + 1}`)).toEqual([`port 0 ${first + 1}`]);
    expect(publish('--tcp', '127.0.0.2', `${first}-${first + 1}`)).toEqual([`port 0 ${first}`]);
  });

  test('gives several their own, and none that another is asked for by its number, in whichever order', async () => {
    const first = await freePorts(4);
    const range = ['--tcp', '127.0.0.1', `${first}-${first + 3}`];
    const exact = ['--tcp', '127.0.0.1', String(first)];
    expect(publish(...range, ...exact, ...range).toSorted()).toEqual([
      `port 0 ${first + 1}`,
      `port 1 ${first}`,
      `port 2 ${first + 2}`,
    ]);
  });

  test('of UDP', async () => {
    const first = await freePorts(2);
    const socket = createSocket('udp4');
    taken.push(socket);
    await new Promise<void>((resolve) => socket.bind(first, '127.0.0.1', resolve));
    expect(publish('--udp', '127.0.0.1', `${first}-${first + 1}`)).toEqual([`port 0 ${first + 1}`]);
  });

  test('of which none is free is an error of the range, and another one of the address', async () => {
    const first = await freePorts(2);
    await listen(first);
    await listen(first + 1);
    const range = `${first}-${first + 1}`;
    const inUse = `error 98 publish cannot listen at any port from ${first} to ${first + 1} of 127.0.0.1`;
    expect(publish('--tcp', '127.0.0.1', range)).toEqual([inUse]);
    // TEST-NET-1, which no machine has.
    expect(publish('--tcp', '192.0.2.77', range)).toEqual([
      `error 99 publish cannot listen at port ${first} of 192.0.2.77`,
    ]);
  });

  test.each([
    ['9000-8000', '"9000-8000" is no range of ports'],
    ['8000-', 'empty number'],
    ['-8000', 'empty number'],
    ['8000-65536', 'the number 65536 is too large'],
    ['8000-8001-8002', '"8001-8002" is not a number'],
    [`${'9'.repeat(40)}-1`, /is no port$/],
  ])('%s is refused', (range, why) => {
    const [line = ''] = publish('--tcp', '127.0.0.1', range);
    expect(line).toMatch(/^error 0 publish /);
    expect(line.replace('error 0 publish ', '')).toMatch(why);
  });
});
