import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempDisposableSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type AgentSocket, openAgent, serveAgent } from '../../src/ssh/index.ts';
import { ask, FAILURE, kinds, LIST, makeKey, publicBlob, publicKey, signRequest, string, strings, talk, uint32, verified } from './support.ts'; // oxfmt-ignore

const dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-ssh-'));
const keys = Object.entries(kinds).map(([name, options]) => [name, makeKey(dir.path, name, options)] as const);
const paths = keys.map(([, path]) => path);
const held = new AsyncDisposableStack();
let directories = 0;
afterAll(async () => {
  await held.disposeAsync();
  dir.remove();
});

/** Serves keys, or the agent at a socket, for the tests of the file. */
async function serve(...files: readonly string[]): Promise<AgentSocket> {
  const directory = join(dir.path, `socket${directories++}`);
  mkdirSync(directory, { mode: 0o700 });
  return serveAgent(openAgent('default', files), directory);
}

/** Runs a program of OpenSSH against an agent. */
async function openssh(
  address: string,
  command: readonly string[],
  input = '',
): Promise<{ code: number; out: string }> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd: dir.path, env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: address } });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (out += text));
  // Programs that read nothing may have ended before.
  child.stdin.on('error', () => undefined).end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, out };
}

/** Messages that an agent of a user takes, and one for steps must not. */
const forbidden: readonly (readonly [string, Buffer])[] = [
  ['adding a key', Buffer.concat([Buffer.of(17), string('ssh-ed25519'), string('x'.repeat(32)), string('y'.repeat(64)), string('')])],
  ['adding a key with constraints', Buffer.concat([Buffer.of(25), string('ssh-ed25519')])],
  ['adding a token', Buffer.concat([Buffer.of(20), string('/usr/lib/evil.so'), string('')])],
  ['adding a token with constraints', Buffer.concat([Buffer.of(26), string('/usr/lib/evil.so'), string('')])],
  ['removing a key', Buffer.concat([Buffer.of(18), string(publicBlob(paths[0] ?? ''))])],
  ['removing all keys', Buffer.of(19)],
  ['removing a token', Buffer.concat([Buffer.of(21), string('/usr/lib/evil.so'), string('')])],
  ['locking', Buffer.concat([Buffer.of(22), string('secret')])],
  ['unlocking', Buffer.concat([Buffer.of(23), string('secret')])],
  ['an extension', Buffer.concat([Buffer.of(27), string('session-bind@openssh.com')])],
  ['listing keys of protocol 1', Buffer.of(1)],
  ['removing all keys of protocol 1', Buffer.of(9)],
]; // oxfmt-ignore

describe('keys from files', () => {
  let agent: AgentSocket;
  beforeAll(async () => {
    agent = held.use(await serve(...paths, paths[0] ?? ''));
  });

  test('are listed in their order, once each, without comments', async () => {
    const answer = await ask(agent.path, LIST);
    expect(answer.subarray(0, 5)).toEqual(Buffer.concat([Buffer.of(12), uint32(paths.length)]));
    expect(strings(answer.subarray(5))).toEqual(paths.flatMap((path) => [publicBlob(path), Buffer.alloc(0)]));
  });

  test.each([
    ['ed25519', 0, 'ssh-ed25519'],
    ['ed25519', 4, 'ssh-ed25519'],
    ['nistp256', 0, 'ecdsa-sha2-nistp256'],
    ['nistp384', 2, 'ecdsa-sha2-nistp384'],
    ['nistp521', 0, 'ecdsa-sha2-nistp521'],
    ['rsa', 2, 'rsa-sha2-256'],
    ['rsa', 4, 'rsa-sha2-512'],
    ['rsa', 6, 'rsa-sha2-256'],
    ['rsa', 0, 'ssh-rsa'],
  ])('%s signs with flags %i: %s', async (name, flags, algorithm) => {
    const path = join(dir.path, name);
    for (const data of [Buffer.from('something to sign'), Buffer.alloc(200_000, 7)]) {
      const answer = await ask(agent.path, signRequest(publicBlob(path), data, flags));
      expect(verified(answer, publicKey(path), data)).toBe(algorithm);
    }
  });

  test('numbers of ECDSA signatures that are shorter than others have the form they should have', async () => {
    const path = join(dir.path, 'nistp256');
    const [blob, key] = [publicBlob(path), publicKey(path)];
    // One in 128 has a leading zero byte.
    const sent = Array.from({ length: 1000 }, (_, count) => signRequest(blob, uint32(count)));
    const got = strings(await talk(agent.path, ...sent.map((message) => string(message))));
    expect(got.filter((answer, count) => verified(answer, key, uint32(count)) === undefined)).toEqual([]);
    expect(new Set(got.map(({ length }) => length)).size).toBeGreaterThan(2);
  });

  test('OpenSSH’s own programs list them and are content with their signatures', async () => {
    const listed = await openssh(agent.address, ['ssh-add', '-L']);
    expect(listed.out.trim().split('\n').map((line) => Buffer.from(line.split(' ')[1] ?? '', 'base64'))).toEqual(paths.map(publicBlob)); // oxfmt-ignore
    expect((await openssh(agent.address, ['ssh-add', '-T', ...paths.map((path) => `${path}.pub`)])).code).toBe(0);
    for (const path of paths) {
      const signed = await openssh(
        agent.address,
        ['ssh-keygen', '-q', '-Y', 'sign', '-n', 'file', '-f', `${path}.pub`],
        'text',
      );
      expect(signed.code, signed.out).toBe(0);
      writeFileSync(join(dir.path, 'sig'), signed.out.slice(signed.out.indexOf('-----BEGIN')));
      const checked = await openssh('', ['ssh-keygen', '-Y', 'check-novalidate', '-n', 'file', '-s', 'sig'], 'text');
      expect(checked.out).toContain('Good "file" signature');
    }
  });

  test.each(forbidden)('%s is refused', async (_name, message) => {
    const before = await ask(agent.path, LIST);
    expect(await ask(agent.path, message)).toEqual(FAILURE);
    expect(await ask(agent.path, LIST)).toEqual(before);
  });

  test('OpenSSH’s own programs cannot change them', async () => {
    for (const args of [['-D'], ['-d', `${paths[0] ?? ''}.pub`], [paths[0] ?? ''], ['-s', '/usr/lib/evil.so']])
      expect((await openssh(agent.address, ['ssh-add', ...args])).code, args.join(' ')).not.toBe(0);
    expect((await openssh(agent.address, ['ssh-add', '-l'])).out.trim().split('\n')).toHaveLength(paths.length);
  });

  test('many questions on one connection are answered in their order', async () => {
    const blob = publicBlob(join(dir.path, 'ed25519'));
    const questions = [signRequest(blob, Buffer.of(1)), LIST, Buffer.of(19), signRequest(blob, Buffer.of(2)), LIST];
    const sent = Buffer.concat(questions.map((question) => string(question)));
    for (const size of [1, 7, sent.length]) {
      const parts = Array.from({ length: Math.ceil(sent.length / size) }, (_, at) =>
        sent.subarray(at * size, (at + 1) * size),
      );
      const got = strings(await talk(agent.path, ...parts));
      expect(got.map((answer) => answer[0])).toEqual([14, 12, 5, 14, 12]);
    }
  });

  test('malformed requests fail, and the connection goes on', async () => {
    const blob = publicBlob(join(dir.path, 'ed25519'));
    const good = signRequest(blob, Buffer.of(1));
    const bad = [
      signRequest(Buffer.from('unknown'), Buffer.of(1)),
      Buffer.of(13),
      Buffer.concat([Buffer.of(13), uint32(0xff_ff_ff_ff)]),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.of(0)]),
      Buffer.concat([LIST, Buffer.of(0)]),
      Buffer.of(255),
    ];
    const got = strings(await talk(agent.path, ...bad.map((message) => string(message)), string(good)));
    expect(got.map((answer) => answer[0])).toEqual([...bad.map(() => 5), 14]);
  });

  test('a length that is not allowed ends the connection at once', async () => {
    for (const length of [0, 256 * 1024 + 1, 0xff_ff_ff_ff]) {
      const socket = createConnection(agent.path);
      const closed = once(socket, 'close');
      socket.on('error', () => undefined);
      // This side stays open: it is the agent that hangs up.
      socket.write(uint32(length));
      await closed;
    }
    const longest = Buffer.concat([Buffer.of(200), Buffer.alloc(256 * 1024 - 1)]);
    expect(await ask(agent.path, longest)).toEqual(FAILURE);
  });

  test('whatever is sent, there is a proper answer or none', async () => {
    const blob = publicBlob(join(dir.path, 'ed25519'));
    const message = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc
        .tuple(fc.constantFrom(11, 13), fc.uint8Array({ maxLength: 80 }))
        .map(([type, rest]) => Buffer.concat([Buffer.of(type), rest])),
      fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.nat()).map(([data, flags]) => signRequest(blob, data, flags)),
    );
    const sent = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(message, { maxLength: 5 }).map((all) => Buffer.concat(all.map((one) => string(one)))),
    );
    await fc.assert(
      fc.asyncProperty(sent, async (bytes) => {
        for (const answer of strings(await talk(agent.path, bytes))) expect([5, 12, 14]).toContain(answer[0]);
      }),
      { numRuns: 300 },
    );
    expect((await ask(agent.path, LIST))[0]).toBe(12);
  });
});

describe('the socket', () => {
  test('ends with all connections and leaves nothing', async () => {
    const agent = await serve(paths[0] ?? '');
    expect(statSync(agent.path).isSocket()).toBe(true);
    const socket = createConnection(agent.path);
    await once(socket, 'connect');
    socket.write(string(LIST).subarray(0, 3));
    // Data that nobody read makes it a reset.
    const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
    await agent[Symbol.asyncDispose]();
    await closed;
    expect(existsSync(agent.path)).toBe(false);
    expect(existsSync(agent.address)).toBe(false);
  });

  test('may lie deeper than a socket’s address is long', async () => {
    const directory = join(dir.path, 'd'.repeat(100), 'e'.repeat(100));
    mkdirSync(directory, { recursive: true });
    await using agent = await serveAgent(openAgent('default', paths), directory);
    expect(statSync(agent.path).isSocket()).toBe(true);
    expect((await openssh(agent.address, ['ssh-add', '-l'])).code).toBe(0);
  });

  test('more connections than are allowed are turned away, not kept waiting', async () => {
    await using agent = await serve(paths[0] ?? '');
    const sockets = Array.from({ length: 140 }, () => createConnection(agent.path));
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.on('error', () => undefined);
        socket.once('close', () => ++closed >= 12 && resolve());
      }
    });
    for (const socket of sockets) socket.destroy();
    expect(closed).toBe(12);
  });
});

describe('an agent of the user', () => {
  let user: Server | undefined;
  afterEach(() => user?.close());

  /** Something that stands in for a user's agent; gives what it was sent, and where it is. */
  async function standIn(onConnection: (socket: Socket) => void): Promise<string> {
    const path = join(dir.path, `user${directories++}`);
    user = createServer((socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    user.listen(path);
    await once(user, 'listening');
    return path;
  }

  test('lists and signs, and cannot be changed', async () => {
    const path = join(dir.path, 'real');
    const child = spawn('ssh-agent', ['-D', '-a', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const [key = ''] = paths;
      expect((await openssh(path, ['ssh-add', '-q', key])).code).toBe(0);
      await using agent = await serve(path);
      expect((await openssh(agent.address, ['ssh-add', '-T', `${key}.pub`])).code).toBe(0);
      const data = Buffer.from('data');
      expect(verified(await ask(agent.path, signRequest(publicBlob(key), data)), publicKey(key), data)).toBe(
        'ssh-ed25519',
      );
      for (const [name, message] of forbidden) expect(await ask(agent.path, message), name).toEqual(FAILURE);
      expect((await openssh(path, ['ssh-add', '-l'])).out.trim().split('\n')).toHaveLength(1);
      child.kill();
      await once(child, 'close');
      expect(await talk(agent.path, string(LIST))).toEqual(Buffer.alloc(0));
    } finally {
      child.kill();
    }
  });

  test('is sent nothing but lists and signatures', async () => {
    const seen: Buffer[] = [];
    const path = await standIn((socket) => socket.on('data', (data) => seen.push(data)));
    await using agent = await serve(path);
    for (const [, message] of forbidden) await ask(agent.path, message);
    expect(seen).toEqual([]);
  });

  test.each<readonly [string, Buffer, Buffer]>([
    ['refuses', string(FAILURE), string(FAILURE)],
    ['answers something else', string(Buffer.of(14, 0, 0, 0, 0)), string(FAILURE)],
    ['sends too much', uint32(256 * 1024 + 1), Buffer.alloc(0)],
    ['sends nothing proper', Buffer.alloc(4), Buffer.alloc(0)],
  ])('that %s harms nobody', async (_name, sent, got) => {
    const path = await standIn((socket) => socket.once('data', () => socket.write(sent)));
    await using agent = await serve(path);
    expect(await talk(agent.path, string(LIST))).toEqual(got);
  });

  test('that never answers is let go when the step ends', async () => {
    const asked = Promise.withResolvers<Socket>();
    const path = await standIn((socket) => socket.once('data', () => asked.resolve(socket)));
    const agent = await serve(path);
    const answer = talk(agent.path, string(LIST));
    const upstream = await asked.promise;
    const left = once(upstream, 'close');
    await agent[Symbol.asyncDispose]();
    expect(await answer).toEqual(Buffer.alloc(0));
    await left;
  });
});
