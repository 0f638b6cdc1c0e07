import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../support/alive.ts';
import type { Bench, Outcome } from '../support/bench.ts';
import { debianPrograms } from '../support/debian-program.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { until } from '../support/until.ts';

const REDIS = ['redis:1', 'redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''];

interface InspectedNetwork {
  readonly Containers: Readonly<Record<string, { readonly Name: string; readonly IPv4Address: string }>>;
}

/** Names and addresses of those that are in a network. */
async function membersOf(bench: Bench, network: string): Promise<Readonly<Record<string, string>>> {
  const { out } = await bench.ok(['network', 'inspect', network]);
  const [{ Containers: members }] = JSON.parse(out) as [InspectedNetwork];
  return Object.fromEntries(Object.values(members).map(({ Name, IPv4Address }) => [Name, IPv4Address]));
}

/** What a program in a new container of a network says. */
function within(bench: Bench, network: string, ...command: readonly string[]): Promise<Outcome> {
  return bench.tsbuild(['run', '--rm', '--network', network, ...command]);
}

/** It listens some time after its container runs. */
function untilRedisAnswers(bench: Bench): Promise<void> {
  return until('redis answers', async () => {
    const { out } = await bench.tsbuild(['exec', 'db', 'redis-cli', 'ping']);
    return out === 'PONG\n';
  });
}

/** The process that has the bridge of a network. */
function bridgeOf(bench: Bench, network: string): number | undefined {
  const directory = join(bench.store, 'networks', network);
  return bench
    .processes()
    .find(({ command }) => command.includes(` bridge --directory ${directory} `) && !command.includes(' enter '))?.pid;
}

describeAsEveryone('networks', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nCOPY root /\n',
      debianPrograms('/usr/bin/redis-server', '/usr/bin/redis-cli'),
    );
    await bench.ok(['build', '-q', '-t', 'redis:1', context]);
    await bench.ok(['network', 'create', '--label', 'job=7', 'ci']);
    await bench.ok(['run', '-d', '--name', 'db', '--network', 'ci', '--network-alias', 'cache', ...REDIS]);
    await untilRedisAnswers(bench);
  });
  afterAll(async () => {
    const { bench } = use;
    const { out } = await bench.ok(['ps', '-aq']);
    if (out !== '') await bench.ok(['rm', '-f', ...out.trim().split('\n')]);
    await bench.ok(['network', 'prune']);
    expect(await bench.leftovers()).toEqual([]);
    expect(readdirSync(join(bench.store, 'networks')).filter((name) => name !== 'bridge')).toEqual([]);
    expect(bench.mounts()).toEqual([]);
    await expectSound(bench);
  });

  test('a client finds a server by name, alias and id, in the foreground', async () => {
    const { bench } = use;
    const { out: id } = await bench.ok(['ps', '-q', '--filter', 'name=db', '--filter', 'network=ci']);
    for (const [at, host] of ['db', 'cache', 'DB', 'db.ci', id.trim()].entries()) {
      const set = await within(bench, 'ci', 'redis:1', 'redis-cli', '-h', host, 'set', 'key', `value ${at}`);
      expect([set.code, set.out], `${host}: ${set.err}`).toEqual([0, 'OK\n']);
      expect((await bench.ok(['exec', 'db', 'redis-cli', 'get', 'key'])).out).toBe(`value ${at}\n`);
    }
    // One without a name is gone with its end, and nobody is told of it any more.
    expect((await bench.ok(['ps', '-aq'])).out).toBe(id);
    expect(Object.keys(await membersOf(bench, 'ci'))).toEqual(['db']);
  });

  test('names: its own, those of addresses, of both transports, and none that is not there', async () => {
    const { bench } = use;
    const { db = '' } = await membersOf(bench, 'ci');
    const address = db.replace(/\/24$/, '');
    const reverse = `${address.split('.').toReversed().join('.')}.in-addr.arpa`;
    const asked = await bench.ok([
      'run',
      '--rm',
      '--network=ci',
      '--hostname=myself',
      'base:1',
      'sh',
      '-c',
      `cat /etc/resolv.conf; nslookup myself; hostname -i; nslookup ${address}; nslookup nobody; nslookup -type=AAAA db; nc -w1 db 6379 </dev/null; echo code $?`,
    ]);
    expect(asked.out).toContain('nameserver 127.0.0.11\n');
    expect(asked.out).toContain(`${reverse}\tname = db.ci`);
    expect(asked.out).toMatch(/Name:\tmyself\nAddress: 10\.89\./);
    expect(asked.out).toContain("can't find nobody: NXDOMAIN");
    expect(asked.out).toContain('code 0');
  });

  test('ports are published, and those below 1024 can be listened at', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name',
      'front',
      '--network',
      'ci',
      '-p',
      '127.0.0.1:0:80',
      '-u',
      '1234',
      ...REDIS,
      '--port',
      '80',
      '--dir',
      '/tmp',
    ]);
    const { out } = await bench.ok(['port', 'front', '80']);
    const port = Number(out.trim().split(':')[1]);
    const ask = (): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', timeout: 10_000 });
        socket.once('data', (data) => {
          resolve(data.toString());
          socket.destroy();
        });
        socket.once('error', () => resolve(''));
        socket.once('close', () => resolve(''));
        socket.write('PING\r\n');
      });
    await until('it answers on the machine', async () => (await ask()) === '+PONG\r\n');
    expect((await within(bench, 'ci', 'redis:1', 'redis-cli', '-h', 'front', '-p', '80', 'ping')).out).toBe('PONG\n');
    await bench.ok(['rm', '-f', 'front']);
  });

  test('networks are apart; a container joins and leaves them while it runs', async () => {
    const { bench } = use;
    await bench.ok(['network', 'create', '--internal', '--ipv6', '--subnet', '10.77.7.0/24', 'back']);
    const { db = '' } = await membersOf(bench, 'ci');
    const script = `redis-cli -h ${db.replace(/\/24$/, '')} ping; redis-cli -h db ping; ip route | grep -c default`;
    const apart = await within(bench, 'back', 'redis:1', 'sh', '-c', script);
    expect(apart.out).toBe('0\n');
    expect(apart.err).toMatch(/Could not connect[^]*Could not connect/);

    await bench.ok(['network', 'connect', '--alias', 'store', '--ip', '10.77.7.77', 'back', 'db']);
    expect(await membersOf(bench, 'back')).toEqual({ db: '10.77.7.77/24' });
    const { out } = await bench.ok([
      'inspect',
      '-f',
      '{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{$net.IPAddress}}\n{{end}}',
      'db',
    ]);
    expect(out).toContain('back 10.77.7.77');
    for (const host of ['db', 'store'])
      expect((await within(bench, 'back', 'redis:1', 'redis-cli', '-h', host, 'ping')).out).toBe('PONG\n');
    // By its addresses of the other family, too.
    const v6 = await within(bench, 'back', 'base:1', 'sh', '-c', 'nslookup -type=AAAA store');
    expect(v6.out).toMatch(/Address: fd[0-9a-f:]+::2$/m);
    expectFailure(await bench.tsbuild(['network', 'connect', 'back', 'db']), { code: 2, says: ['db', 'it is in it'] });
    expectFailure(await bench.tsbuild(['network', 'rm', 'back']), { code: 1, says: ['back', 'db', 'disconnect'] });

    // It stays so across a restart.
    await bench.ok(['restart', '-t', '1', 'db']);
    await untilRedisAnswers(bench);
    expect(await membersOf(bench, 'back')).toEqual({ db: '10.77.7.77/24' });
    await bench.ok(['network', 'disconnect', 'back', 'db']);
    expect(await membersOf(bench, 'back')).toEqual({});
    expect((await within(bench, 'back', 'redis:1', 'redis-cli', '-h', 'db', 'ping')).err).toContain(
      'Could not connect',
    );
    expect((await within(bench, 'ci', 'redis:1', 'redis-cli', '-h', 'db', 'ping')).out).toBe('PONG\n');
    expectFailure(await bench.tsbuild(['network', 'disconnect', 'back', 'db']), { code: 2, says: ['not in it'] });
    await bench.ok(['network', 'rm', 'back']);
  });

  test('addresses are given from a range of the subnet; an address and a hardware address that are asked for are had', async () => {
    const { bench } = use;
    const subnets = ['--subnet', '10.77.8.0/24', '--ip-range', '10.77.8.128/31'];
    await bench.ok([
      'network',
      'create',
      ...subnets,
      '--subnet',
      'fd00:77::/64',
      '--ip-range',
      'fd00:77::70/124',
      'part',
    ]);
    const config = await bench.ok(['network', 'inspect', '-f', '{{json .IPAM.Config}}', 'part']);
    expect(JSON.parse(config.out)).toEqual([
      { Subnet: '10.77.8.0/24', IPRange: '10.77.8.128/31', Gateway: '10.77.8.1' },
      { Subnet: 'fd00:77::/64', IPRange: 'fd00:77::70/124', Gateway: 'fd00:77::1' },
    ]);
    const mac = '92:d0:c6:0a:29:33';
    await bench.ok(['run', '-d', '--name', 'first', '--network', 'part', ...REDIS]);
    await bench.ok([
      'run',
      '-d',
      '--name',
      'second',
      '--network',
      'part',
      '--mac-address',
      mac.toUpperCase(),
      ...REDIS,
    ]);
    // The whole range is given away; who names an address of the subnet needs none of it.
    expectFailure(await within(bench, 'part', 'base:1', 'true'), {
      code: 125,
      says: ['no address of 10.77.8.128/31 is free', '--ip-range'],
    });
    await bench.ok(['run', '-d', '--name', 'third', '--network', 'part', '--ip', '10.77.8.9', ...REDIS]);
    expect(await membersOf(bench, 'part')).toEqual({
      first: '10.77.8.128/24',
      second: '10.77.8.129/24',
      third: '10.77.8.9/24',
    });
    const six = await bench.ok(['inspect', '-f', '{{.NetworkSettings.Networks.part.GlobalIPv6Address}}', 'second']);
    expect(six.out).toBe('fd00:77::71\n');
    expectFailure(await bench.tsbuild(['run', '--rm', '--network', 'part', '--ip', '10.77.9.9', 'base:1', 'true']), {
      code: 125,
      says: ['10.77.9.9', 'none of network part'],
    });
    // Each has its hardware address in the container, for its neighbours, and for whoever asks.
    for (const [name, address] of [
      ['first', '02:42:0a:4d:08:80'],
      ['second', mac],
    ] as const) {
      expect((await bench.ok(['exec', name, 'cat', '/sys/class/net/eth0/address'])).out).toBe(`${address}\n`);
      const said = await bench.ok(['inspect', '-f', '{{.NetworkSettings.Networks.part.MacAddress}}', name]);
      expect(said.out).toBe(`${address}\n`);
    }
    const seen = await bench.ok(['exec', 'first', 'sh', '-c', 'redis-cli -h second ping; cat /proc/net/arp']);
    expect(seen.out).toMatch(new RegExp(`PONG\\n[^]*10\\.77\\.8\\.129 .*${mac}`));
    // It comes back with all of it.
    await bench.ok(['restart', '-t', '1', 'second']);
    expect((await bench.ok(['exec', 'second', 'cat', '/sys/class/net/eth0/address'])).out).toBe(`${mac}\n`);
    await bench.ok(['rm', '-f', 'first', 'second', 'third']);
    await bench.ok(['network', 'rm', 'part']);
  });

  test("one uses another's network", async () => {
    const { bench } = use;
    const beside = await within(bench, 'container:db', 'redis:1', 'sh', '-c', 'redis-cli ping; redis-cli -h db ping');
    expect(beside.out).toBe('PONG\nPONG\n');
    // Also where that is nobody else's.
    await bench.ok(['run', '-d', '--name', 'alone', '--network', 'private', ...REDIS]);
    await bench.ok(['run', '-d', '--name', 'deaf', '--network', 'none', ...REDIS]);
    for (const name of ['alone', 'deaf'])
      await until(`redis answers to who is beside ${name}`, async () => {
        const { out } = await within(bench, `container:${name}`, 'redis:1', 'redis-cli', 'ping');
        return out === 'PONG\n';
      });
    await bench.ok(['create', '--name', 'later', '--network', 'container:alone', 'base:1', 'true']);
    await bench.ok(['rm', '-f', 'deaf']);
    await bench.ok(['stop', '-t', '1', 'alone']);
    expectFailure(await bench.tsbuild(['start', 'later']), {
      code: 1,
      says: ['later', 'alone', 'does not run', 'tsbuild start alone'],
    });
    await bench.ok(['rm', 'alone']);
    expectFailure(await bench.tsbuild(['start', 'later']), { code: 1, says: ['not there any more'] });
    await bench.ok(['rm', 'later']);
    expectFailure(await within(bench, 'container:later', 'base:1', 'true'), { code: 125, says: ['No such container'] });
    expectFailure(await within(bench, 'container:db', '-p', '80:80', 'base:1', 'true'), {
      code: 125,
      says: ['publish', 'another'],
    });
  });

  test('what was killed of a network comes back with the next command', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'client', '--network', 'ci', 'redis:1', 'sleep', '1000']);
    const ask = (): Promise<Outcome> => bench.tsbuild(['exec', 'client', 'redis-cli', '-h', 'db', 'ping']);
    const before = await membersOf(bench, 'ci');
    for (let round = 0; round < 3; round++) {
      const pid = bridgeOf(bench, 'ci') ?? 0;
      expect(pid).toBeGreaterThan(0);
      process.kill(pid, 'SIGKILL');
      await until('it has ended', () => !isAlive(pid));
      expect(await membersOf(bench, 'ci')).toEqual(before);
      expect((await ask()).out).toBe('PONG\n');
    }
    // Its name server is started again by itself; its questions come at descriptors from 200 on.
    const parts = bench
      .processes()
      .filter(({ command }) => / network --parent 1 .* --hostname /.test(command) && !command.includes(' enter '))
      .filter(({ command }) => command.includes('\nname client'));
    const names = parts.filter(({ pid }) => existsSync(`/proc/${pid}/fd/200`));
    expect(names).toHaveLength(1);
    process.kill(names[0]?.pid ?? 0, 'SIGKILL');
    await until('names are known again', async () => (await ask()).out === 'PONG\n');
    // Without the process that holds the membership there is no container.
    const [holder] = parts
      .filter(({ pid }) => !existsSync(`/proc/${pid}/fd/200`))
      .map(({ pid }) => pid)
      .toSorted((one, other) => one - other);
    process.kill(holder ?? 0, 'SIGKILL');
    await until('it is told as it is', async () =>
      (await bench.ok(['ps', '-a', '--format', '{{.Names}} {{.State}}'])).out.includes('client exited'),
    );
    expect(Object.keys(await membersOf(bench, 'ci'))).toEqual(['db']);
    await bench.ok(['start', 'client']);
    expect((await ask()).out).toBe('PONG\n');
    await bench.ok(['rm', '-f', 'client']);
    expect(Object.keys(await membersOf(bench, 'ci'))).toEqual(['db']);
  });

  test('a scope takes its networks along', async () => {
    const { bench } = use;
    const env = { TSBUILD_SCOPE: 'job-7' };
    await bench.ok(['network', 'create', 'job'], { env });
    await bench.ok(['run', '-d', '--name', 'service', '--network', 'job', ...REDIS], { env });
    expect((await bench.ok(['down'], { env })).out).toBe('service\njob\n');
    expect(existsSync(join(bench.store, 'networks', 'job'))).toBe(false);
  });

  test('the default one is there for all', async () => {
    const { bench } = use;
    await bench.ok(['run', '-d', '--name', 'plain', '--network', 'bridge', ...REDIS]);
    await until('redis answers', async () => {
      const { out } = await within(bench, 'default', 'redis:1', 'redis-cli', '-h', 'plain', 'ping');
      return out === 'PONG\n';
    });
    expectFailure(await bench.tsbuild(['network', 'rm', 'bridge']), { code: 1, says: ['bridge', 'plain'] });
    await bench.ok(['rm', '-f', 'plain']);
    expectFailure(await bench.tsbuild(['network', 'rm', 'bridge']), { code: 1, says: ['bridge', 'default'] });
  });

  test('the default one is that of all with published ports which others may ask for', async () => {
    const { bench } = use;
    const publish = ['-p', '127.0.0.1::6379'];
    await bench.ok(['run', '-d', '--name', 'first', ...publish, ...REDIS]);
    await bench.ok(['create', '--name', 'second', ...publish, ...REDIS]);
    await bench.ok(['start', 'second']);
    await bench.ok(['run', '-d', '--name', 'apart', '--network', 'private', ...publish, ...REDIS]);
    const inspect = async (name: string): Promise<string> =>
      (await bench.ok(['inspect', '-f', '{{.HostConfig.NetworkMode}} {{.NetworkSettings.IPAddress}}', name])).out;
    const members = await membersOf(bench, 'bridge');
    expect(Object.keys(members).toSorted()).toEqual(['first', 'second']);
    // What is asked of docker for the address of a container, with which another one reaches it.
    const [mode, address = ''] = (await inspect('second')).trim().split(' ');
    expect([mode, `${address}/24`]).toEqual(['bridge', members['second']]);
    expect((await inspect('apart')).trim()).not.toContain('bridge');
    for (const host of [address, 'second'])
      await until('redis answers', async () => {
        const { out } = await bench.tsbuild(['exec', 'first', 'redis-cli', '-h', host, 'ping']);
        return out === 'PONG\n';
      });
    // One in the foreground that nobody else knows of is alone.
    const alone = await bench.ok(['run', '--rm', ...publish, 'base:1', 'cat', '/etc/resolv.conf']);
    expect(alone.out).not.toContain('127.0.0.11');
    await bench.ok(['rm', '-f', 'first', 'second', 'apart']);
  });

  test('wrong words are told, and leave nothing', async () => {
    const { bench } = use;
    // What a killed command would have left.
    mkdirSync(join(bench.store, 'networks', '.new-0123456789abcdef'));
    await bench.ok(['network', 'create', '--subnet', '10.78.0.0/30', 'tiny']);
    expect(readdirSync(join(bench.store, 'networks')).filter((name) => name.startsWith('.'))).toEqual([]);
    await bench.ok(['run', '-d', '--name', 'only', '--network', 'tiny', 'base:1', 'sleep', '1000']);
    await bench.ok(['run', '-d', '--name', 'host', 'base:1', 'sleep', '1000']);
    for (const [args, code, ...says] of [
      [['network', 'create', 'ci'], 2, 'ci', 'one of that name', 'tsbuild network rm ci'],
      [['network', 'create', 'host'], 2, 'host', 'meaning'],
      [['network', 'create', '-x'], 2, '-x'],
      [['network', 'create', '--subnet', '10.78.0.0/16', 'wide'], 2, '10.78.0.0/16', 'tiny'],
      [['network', 'create', '--subnet', '10.79.0.0/33', 'wide'], 2, '10.79.0.0/33'],
      [['network', 'create', '--subnet', '10.79.0.0/24', '--gateway', '10.80.0.1', 'wide'], 2, 'gateway'],
      [['network', 'create', '--driver', 'overlay', 'wide'], 2, 'overlay', 'bridge'],
      [['network', 'inspect', 'cy'], 1, 'No such network: cy', 'did you mean "ci"'],
      [['network', 'rm', 'nothing'], 1, 'No such network: nothing'],
      [['network', 'connect', 'ci', 'host'], 2, 'host', "the machine's"],
      [['network', 'connect', '--ip', '10.1.1.1', 'ci', 'only'], 2, '10.1.1.1', 'ci', '10.89.'],
      [
        ['run', '--rm', '--network', 'nothing', 'base:1', 'true'],
        125,
        'No such network: nothing',
        'network create nothing',
      ],
      [['run', '--rm', '--network', 'tiny', 'base:1', 'true'], 125, 'no address of 10.78.0.0/30 is free', '--subnet'],
      [
        ['run', '--rm', '--network', 'ci', '--ip', '10.78.0.2', 'base:1', 'true'],
        125,
        '10.78.0.2',
        'none of network ci',
      ],
      [['run', '--rm', '--network', 'tiny', '--ip', '10.78.0.2', 'base:1', 'true'], 125, '10.78.0.2', 'in use'],
      [['run', '--rm', '--network', 'ci', '--network', 'host', 'base:1', 'true'], 125, '--network'],
      [['run', '--rm', '--network-alias', 'x', 'base:1', 'true'], 125, '--network-alias', 'network create'],
    ] as const)
      expectFailure(await bench.tsbuild(args), { code, says });
    expect((await bench.ok(['ps', '-a', '--format', '{{.Names}}'])).out.trim().split('\n').toSorted()).toEqual([
      'db',
      'host',
      'only',
    ]);
    expect((await bench.ok(['network', 'ls', '--format', '{{.Name}}', '--filter', 'label=job=7'])).out).toBe('ci\n');
    await bench.ok(['rm', '-f', 'only', 'host']);
    await bench.ok(['network', 'rm', 'tiny']);
    expect(readFileSync(join(bench.store, 'networks', 'ci', 'bridge.log'), 'utf8')).toBe('');
  });
});
