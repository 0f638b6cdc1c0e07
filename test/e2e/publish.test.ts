import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import type { Bench, Running } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { freePorts } from '../support/free-port.ts';
import { netProbe } from '../support/net-probe.ts';
import { until } from '../support/until.ts';

/** All that a server at a port of this machine says, once it can be reached. */
async function ask(port: number, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, timeout: 20_000 });
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    socket.on('timeout', () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

/** The port that was chosen for one of the container's. */
async function published(running: Running, name: string): Promise<number> {
  const line = new RegExp(`^${name} is published at [\\d.]+:(\\d+)$`, 'm');
  await running.prints(line);
  return Number(line.exec(running.text())?.[1]);
}

describeAsEveryone('published ports', (who) => {
  const use = useBench(who);
  const start = (bench: Bench, ...args: readonly string[]): Running =>
    bench.tsbuildStart(['run', '-v', `${bench.path('tools')}:/tools:ro`, ...args]);
  beforeAll(() => {
    use.bench.write('tools', { probe: { text: netProbe(), mode: 0o755 } });
  });

  test('lead to a server that listens below 1024 in the container, whoever runs it', async () => {
    const { bench } = use;
    const running = start(
      bench,
      '-p',
      '127.0.0.1:0:80',
      '-u',
      '1234',
      'base:1',
      '/tools/probe',
      'serve',
      '80',
      'hello',
    );
    await running.prints(/^listening$/m);
    expect(await ask(await published(running, '80/tcp'))).toBe('hello');
    expect((await running.ended).code).toBe(0);
  });

  test('of both families and of UDP, chosen for what the image exposes', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nEXPOSE 7070/udp 7071\n');
    await bench.ok(['build', '-t', 'exposing:1', context]);
    const running = start(bench, '-P', 'exposing:1', '/tools/probe', 'echo', '7070');
    const port = await published(running, '7070/udp');
    expect(await published(running, '7071/tcp')).toBeGreaterThan(0);
    await running.prints(/^listening$/m);
    for (const [family, host] of [
      ['udp4', '127.0.0.1'],
      ['udp6', '::1'],
    ] as const) {
      const socket = createSocket(family);
      const answer = new Promise<string>((resolve) => socket.once('message', (data) => resolve(data.toString())));
      // Nobody promises that a datagram arrives.
      const again = setInterval(() => socket.send(`by ${family}`, port, host), 200);
      expect(await answer).toBe(`by ${family}`);
      clearInterval(again);
      socket.close();
    }
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await bench.leftovers()).toEqual([]);
  });

  test('carry much, both ways, and the end of each', async () => {
    const { bench } = use;
    const running = start(bench, '-p', '0:80', 'base:1', '/tools/probe', 'pour', '80', '30000000');
    const port = await published(running, '80/tcp');
    await running.prints(/^listening$/m);
    const received = await new Promise<number>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      let bytes = 0;
      socket.on('data', (data) => (bytes += data.length));
      socket.on('error', reject);
      socket.on('close', () => resolve(bytes));
      socket.end(Buffer.alloc(5_000_000));
    });
    expect(received).toBe(30_000_000);
    expect((await running.ended).out).toMatch(/^5000000$/m);
  });

  test('that cannot be had end the command before the container, with what to type', async () => {
    const { bench } = use;
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const run = (...args: readonly string[]) => bench.tsbuild(['run', ...args, 'base:1', 'echo', 'ran']);
    const inUse = await run('-p', `127.0.0.1:${port}:80`);
    // Nothing is half-made: what was to be in the background can be typed again.
    const words = ['-d', '--name', 'taken', '--cidfile', 'id', '-v', '/data', '-p', `127.0.0.1:${port}:80`];
    for (const _twice of [1, 2]) {
      const { code, err } = await run(...words);
      expect([code, err]).toEqual([125, inUse.err]);
    }
    expect((await bench.ok(['ps', '-aq'])).out + (await bench.ok(['volume', 'ls', '-q'])).out).toBe('');
    taken.close();
    expect(inUse.out + inUse.err).toMatch(
      new RegExp(`Cannot publish a port: cannot listen at port ${port} of 127.0.0.1 \\(EADDRINUSE\\)\\nhint: .*-p 0:`),
    );
    expect(inUse.out).toBe('');
    if (who.uid !== 0) expect((await run('-p', '127.0.0.1:1:80')).err).toMatch(/EACCES.*\nhint: .*8080:80.*sysctl/);
    expect((await run('-p', '192.0.2.77:0:80')).err).toMatch(/EADDRNOTAVAIL.*\nhint: it is no address of this machine/);
    expect((await run('-p', '80:http')).err).toMatch(/Cannot publish "80:http": "http" is no port/);
    expect((await run('-p', '8080:80', '-p', '8080:81')).err).toMatch(/port 8080\/tcp twice/);
    expect((await run('--network=web')).err).toMatch(/No such network: web/);
    const none = await run('-p', '0:80', '--network=none');
    expect([none.out, none.err]).toEqual(['ran\n', expect.stringMatching(/no port is published/)]);
  });

  test('of a container in the background are listed, and come back with it', async () => {
    const { bench } = use;
    const serve = 'while true; do /tools/probe serve 80 again; done';
    const tools = `${bench.path('tools')}:/tools:ro`;
    const args = ['-d', '--name=web', '-v', tools, '-p', '127.0.0.1:0:80', 'base:1', 'sh', '-c', serve];
    // `again` once the program listens, which nothing tells from outside.
    const answer = async (): Promise<string> => {
      const { out } = await bench.ok(['port', 'web', '80']);
      let said = '';
      await until('it answers', async () => {
        said = await ask(Number(out.trim().split(':').at(-1))).catch(() => '');
        return said !== '';
      });
      return said;
    };
    try {
      await bench.ok(['run', ...args]);
      expect(await answer()).toBe('again');
      expect((await bench.ok(['port', 'web'])).out).toMatch(/^80\/tcp -> 127\.0\.0\.1:\d+\n$/);
      expect((await bench.ok(['ps'])).out).toMatch(/ 127\.0\.0\.1:\d+->80\/tcp /);
      expect((await bench.ok(['exec', 'web', 'ls', '/sys/class/net'])).out).toMatch(/^(eth0\n)?lo\n$/);
      expect((await bench.tsbuild(['port', 'web', '81'])).err).toMatch(/81\/tcp of web is: it is not published/);
      await bench.ok(['stop', '-t', '0', 'web']);
      expect((await bench.ok(['port', 'web'])).out).toBe('');
      await bench.ok(['start', 'web']);
      expect(await answer()).toBe('again');
    } finally {
      await bench.ok(['rm', '-f', 'web']);
    }
    expect(await bench.leftovers()).toEqual([]);
  });

  test('are chosen from a range at each start, the first that is free', async () => {
    const { bench } = use;
    const first = await freePorts(2);
    const busy = createServer().listen(first, '127.0.0.1');
    await new Promise((resolve) => busy.once('listening', resolve));
    const range = ['-p', `127.0.0.1:${first}-${first + 1}:80`];
    const probe = ['-v', `${bench.path('tools')}:/tools:ro`, 'base:1'];
    const serve = ['sh', '-c', 'while true; do /tools/probe serve 80 chosen; done'];
    // As docker's own documentation asks for a port.
    const asked = '{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostPort}}';
    const got = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}';
    try {
      await bench.ok(['run', '-d', '--name=web', ...range, ...probe, ...serve]);
      expect((await bench.ok(['port', 'web'])).out).toBe(`80/tcp -> 127.0.0.1:${first + 1}\n`);
      expect((await bench.ok(['ps'])).out).toContain(` 127.0.0.1:${first + 1}->80/tcp `);
      const shown = await bench.ok(['inspect', '-f', `${asked} ${got}`, 'web']);
      expect(shown.out).toBe(`${first}-${first + 1} ${first + 1}\n`);
      let said = '';
      await until('it answers', async () => (said = await ask(first + 1).catch(() => '')) !== '');
      expect(said).toBe('chosen');
      const none = await bench.tsbuild(['run', ...range, 'base:1', 'echo', 'ran']);
      expect([none.code, none.out]).toEqual([125, '']);
      expect(none.err).toMatch(
        new RegExp(
          `Cannot publish a port: cannot listen at any port from ${first} to ${first + 1} of 127.0.0.1 \\(EADDRINUSE`,
        ),
      );
      await new Promise((resolve) => busy.close(resolve));
      const other = await bench.ok(['run', '--rm', ...range, 'base:1', 'echo', 'ran']);
      expect(other.out).toBe('ran\n');
      expect(other.err).toContain(`80/tcp is published at 127.0.0.1:${first}\n`);
      await bench.ok(['restart', '-t', '0', 'web']);
      expect((await bench.ok(['port', 'web', '80'])).out).toBe(`127.0.0.1:${first}\n`);
      await bench.ok(['stop', '-t', '0', 'web']);
      expect((await bench.ok(['inspect', '-f', '{{len .NetworkSettings.Ports}}', 'web'])).out).toBe('0\n');
    } finally {
      busy.close();
      await bench.ok(['rm', '-f', 'web']);
    }
  });

  test('belong to a network of the container’s own, where nothing of the machine listens', async () => {
    const { bench } = use;
    const near = createServer((socket) => socket.end('of the machine')).listen(0, '127.0.0.1');
    await new Promise((resolve) => near.once('listening', resolve));
    const { port } = near.address() as AddressInfo;
    const probe = ['base:1', '/tools/probe', 'connect', '127.0.0.1', String(port)];
    expect((await start(bench, '--network=private', ...probe).ended).out).toBe('connect: Connection refused\n');
    expect((await start(bench, ...probe).ended).out).toBe('of the machine\n');
    near.close();
  });
});
