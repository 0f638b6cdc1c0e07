import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure } from '../support/sound.ts';

/** Of the machine, which no container may change. */
const KEPT = ['kernel/shmmax', 'kernel/sem', 'kernel/domainname', 'fs/mqueue/msg_max', 'net/core/somaxconn'];
const read = (name: string): string => readFileSync(`/proc/sys/${name}`, 'utf8');

describeAsEveryone('parameters of the kernel', (who) => {
  const use = useBench(who);
  const before = new Map<string, string>();
  beforeAll(() => {
    for (const name of KEPT) before.set(name, read(name));
  });
  afterAll(async () => {
    for (const [name, value] of before) expect(read(name), name).toBe(value);
    expect(await use.bench.leftovers()).toEqual([]);
  });

  test('of the namespaces that every container has are its own', async () => {
    const flags = [
      '--sysctl=kernel.shmmax=1234567',
      '--sysctl',
      'kernel.sem=10 20 30 40',
      '--sysctl=kernel.domainname=example.org',
      '--sysctl=fs.mqueue.msg_max=7',
    ];
    const say = 'cd /proc/sys; cat kernel/shmmax kernel/sem kernel/domainname fs/mqueue/msg_max';
    const { out } = await use.bench.ok(['run', ...flags, 'base:1', 'sh', '-c', say]);
    expect(out).toBe('1234567\n10\t20\t30\t40\nexample.org\n7\n');
  });

  test('of its network are set in whatever network of its own it has', async () => {
    const { bench } = use;
    const flag = '--sysctl=net.core.somaxconn=77';
    const say = ['base:1', 'cat', '/proc/sys/net/core/somaxconn'];
    for (const network of [['--network=none'], ['--network=private'], []])
      expect((await bench.ok(['run', ...network, flag, ...say])).out, network.join()).toBe('77\n');
    await bench.ok(['network', 'create', 'parameters']);
    expect((await bench.ok(['run', '--network=parameters', flag, ...say])).out).toBe('77\n');
    await bench.ok(['network', 'rm', 'parameters']);
  });

  test('hold at every start, and inspect shows them', async () => {
    const { bench } = use;
    const say = ['sh', '-c', 'cat /proc/sys/kernel/msgmax; echo 5 > /seen'];
    await bench.ok(['create', '--name=parametric', '--network=none', '--sysctl=kernel.msgmax=4321', 'base:1', ...say]);
    for (const _start of [1, 2]) expect((await bench.ok(['start', '-a', 'parametric'])).out).toBe('4321\n');
    const shown = await bench.ok(['inspect', '-f', '{{json .HostConfig.Sysctls}}', 'parametric']);
    expect(JSON.parse(shown.out)).toEqual({ 'kernel.msgmax': '4321' });
    await bench.ok(['cp', 'parametric:/seen', 'seen']);
    await bench.ok(['rm', 'parametric']);
  });

  test.each<[readonly string[], readonly string[]]>([
    [['--sysctl=kernel.panic=1'], ['it is not allowed', 'kernel.shm*']],
    [['--sysctl=vm.overcommit_memory=1'], ['it is not allowed']],
    [['--sysctl=net/../kernel/panic=1'], ['expected NAME=VALUE']],
    [['--sysctl=net...kernel.panic=1'], ['expected NAME=VALUE']],
    [['--sysctl=kernel.sem'], ['expected NAME=VALUE']],
    [
      ['--network=host', '--sysctl=net.core.somaxconn=1'],
      ['network of the machine', '--network private'],
    ],
    [
      ['--network=none', '--sysctl=net.core.nothing=1'],
      ['/proc/sys/net/core/nothing', 'ENOENT', '--sysctl'],
    ],
    [['--sysctl=kernel.shmmax=soon'], ['/proc/sys/kernel/shmmax', 'EINVAL']],
  ])('that cannot be set are told: %s', async (flags, says) => {
    expectFailure(await use.bench.tsbuild(['run', ...flags, 'base:1', 'true']), { code: 125, says });
  });
});
