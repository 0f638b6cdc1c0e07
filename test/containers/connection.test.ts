import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Connection,
  type Container,
  isSupervised,
  parseSignal,
  request,
  stopContainer,
} from '../../src/containers/index.ts';

let directory = '';
let server: Server | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'supervisor-'));
});
afterEach(async () => {
  await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  server = undefined;
  rmSync(directory, { recursive: true });
});

const frame = (kind: string, text: string | Buffer): Buffer => {
  const data = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(kind, 'latin1');
  head.writeUInt32LE(data.length, 1);
  return Buffer.concat([head, data]);
};

/** A supervisor that answers as it is told, and remembers what it was asked for. */
async function supervisor(answer: (socket: Socket, asked: string) => void): Promise<readonly string[]> {
  const asked: string[] = [];
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const text = `${String.fromCharCode(data[0] ?? 0)}${data.subarray(5).toString()}`;
      asked.push(text);
      answer(socket, text);
    });
  });
  await new Promise<void>((resolve) => server?.listen(join(directory, 'socket'), resolve));
  return asked;
}
const container = (): Container => ({ directory }) as Container;

describe('a supervisor', () => {
  test('that is not there is none: no directory, no socket, one that nobody listens at', async () => {
    expect(await Connection.open(join(directory, 'gone'))).toBeUndefined();
    expect(await isSupervised(container())).toBe(false);
    await supervisor(() => undefined);
    expect(await isSupervised(container())).toBe(true);
    expect(await request({ directory: join(directory, 'gone') } as Container, 'W')).toBeUndefined();
  });

  test('tells output in pieces of any size, that the program runs, and how it ended', async () => {
    const told = Buffer.concat([
      frame('s', 'attached\n'),
      frame('o', 'out'),
      frame('e', 'err'),
      frame('s', 'ran\n'),
      frame('o', Buffer.from([0xff, 0])),
      frame('x', '3'),
    ]);
    await supervisor((socket) => {
      for (let at = 0; at < told.length; at += 4) socket.write(told.subarray(at, at + 4));
    });
    const heard: string[] = [];
    using connection = await Connection.open(directory, {
      onOutput: (stream, data) => heard.push(`${stream}:${data.toString('latin1')}`),
      onRan: () => heard.push('ran'),
    });
    await connection?.attach({ input: true, output: true });
    expect(await connection?.ended).toEqual({ exitCode: 3 });
    expect(heard.join(' ')).toBe('1:out 2:err ran 1:\u00ff\0');
  });

  test('refuses with a reason; a program that is missing has its own', async () => {
    await supervisor((socket, asked) => {
      if (asked.startsWith('P')) socket.end(frame('s', 'error 0 control the container is paused already\n'));
      else socket.end(Buffer.concat([frame('s', 'error 2 exec /not/there\n'), frame('x', '127')]));
    });
    const refused = await request(container(), 'P');
    expect(refused?.exitCode).toBe(1);
    expect(refused?.error?.message).toContain('paused already');
    expect(await request(container(), 'W')).toMatchObject({
      exitCode: 127,
      status: { kind: 'not-executed', path: '/not/there', errno: 'ENOENT' },
    });
  });

  test('that goes without a word leaves no end, whether it was asked or attached to', async () => {
    await supervisor((socket) => socket.destroy());
    expect(await request(container(), 'W')).toBeUndefined();
    using connection = await Connection.open(directory);
    await connection?.attach({ input: false, output: true });
    expect(await connection?.ended).toBeUndefined();
  });

  test('is asked to stop in milliseconds, and without an end to its patience', async () => {
    const asked = await supervisor((socket) => socket.end(frame('x', '0')));
    await stopContainer(container(), { seconds: 1.5, number: 15 });
    await stopContainer(container(), { seconds: -1, number: 2 });
    expect(asked).toEqual(['S15 1500', 'S2 -1']);
  });

  test('whoever is interrupted does not wait for its answer', async () => {
    await supervisor(() => undefined);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    expect(await request(container(), 'W', '', controller.signal)).toBeUndefined();
  });
});

test('signals by name and number, as kill(1) has them', () => {
  for (const [text, number] of [
    ['TERM', 15],
    ['SIGTERM', 15],
    ['sigkill', 9],
    ['9', 9],
    ['64', 64],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
  ] as const)
    expect(parseSignal(text)).toBe(number);
  for (const text of ['', '0', '65', 'SIGNOTHING', 'RTMIN+31', '-9', '9 '])
    expect(() => parseSignal(text)).toThrow('Invalid signal');
});
