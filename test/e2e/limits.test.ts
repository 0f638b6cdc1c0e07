import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test, type TestContext } from 'vitest';
import type { ReportFacts } from '../../src/report/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure } from '../support/sound.ts';
import { until } from '../support/until.ts';

/** Holds so many megabytes at once. */
const take = (megabytes: number): string => `dd if=/dev/zero of=/dev/null bs=${megabytes}M count=1`;

describeAsEveryone('limits', (who) => {
  const use = useBench(who);
  /** What `doctor` says that groups limit here, for this user. */
  let held = '';

  beforeAll(async () => {
    const { out, err } = await use.bench.tsbuild(['doctor']);
    held = /^(?:ok|warning) +limits: (.*)$/m.exec(out + err)?.[1] ?? '';
    expect(held, out + err).not.toBe('');
  });
  const byGroups = (): boolean => held.startsWith('memory, CPUs');
  /** For what only groups can do: a machine without them for this user is one of the reasons to skip a test (CONTRIBUTING.md). */
  const onlyByGroups = ({ skip }: TestContext): void => skip(!byGroups(), `no cgroups for ${who.name}: ${held}`);

  const build = (steps: string, ...flags: string[]) => {
    const context = use.bench.context(`FROM base:1\n${steps}\n`);
    return use.bench.tsbuild(['build', '--progress=plain', '--no-cache', '-o', 'type=cacheonly', ...flags, context]);
  };
  /** Names that this store's commands gave to their groups: other tests may run on this machine. */
  const names = new Set<string>();
  /** Groups of this store's commands that are there, and what the store knows of them. */
  const groups = (): readonly string[] => {
    const ledger = `${use.bench.store}/cgroups`;
    const noted = existsSync(ledger) ? readdirSync(ledger) : [];
    for (const name of noted) names.add(name);
    const found = globSync('/sys/fs/cgroup/**/tsbuild-*.*-*');
    return [...found.filter((path) => [...names].some((name) => path.includes(`/${name}-`))), ...noted];
  };

  /** Any command takes the groups of the dead away; the kernel may not be through with their processes yet. */
  const untilGone = async (): Promise<void> => {
    await expect.poll(async () => [await use.bench.ok(['images']), groups()][1]).toEqual([]);
  };

  test('a step that takes more memory than it may fails, and it is said why (REL-23)', async () => {
    const { code, err } = await build(`RUN ${take(100)}`, '--memory=64m');
    expect(code, err).toBe(1);
    expect(err).toMatch(
      /^error: .* did not complete successfully: .+: out of memory \(limit: 64m( for each process)?\)$/m,
    );
    expect(err).toMatch(/^hint: --memory SIZE sets another limit, or .*# tsbuild: memory=2g$/m);
    expect((await build(`RUN ${take(30)}`, '-m', '64m')).code).toBe(0);
    expect((await build(`RUN ${take(100)}`)).code).toBe(0);
  });

  test('a comment above a step is for that one', async () => {
    const steps = `# tsbuild: memory=256m\nRUN ${take(100)}; echo enough\n# tsbuild: memory=32m\nRUN exec ${take(50)}`;
    const { code, err } = await build(steps, '--memory=64m');
    expect(code).toBe(1);
    expect(err).toContain(' enough\n');
    expect(err).toMatch(/out of memory \(limit: 32m( for each process)?\)$/m);
  });

  test('what does not hold is said in one line, once', async () => {
    const { err } = await build('RUN echo a\nRUN echo b', '--memory=64m', '--cpus=0.5');
    const lines = err.split('\n').filter((line) => line.includes('Limits are not all held here'));
    if (byGroups()) expect(lines).toEqual([]);
    else {
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('memory=64m holds for what each process allocates');
      expect(lines[0]).toContain('cpus=0.5 is not enforced: ');
    }
    expect((await build('RUN echo a')).err).not.toContain('Limits are');
  });

  test('a part of a step that the kernel ends is told of, though the step goes on', async (context) => {
    onlyByGroups(context);
    const { code, err } = await build(`RUN ${take(100)} || echo went on`, '--memory=64m');
    expect(code).toBe(0);
    expect(err).toContain(' went on\n');
    expect(err).toMatch(/A process of ".*" was ended: out of memory \(limit: 64m\)/);
  });

  test('processes of a step are counted together', async (context) => {
    onlyByGroups(context);
    // Each of them holds 30 MB while it waits for the others.
    const one = 'awk "BEGIN { x = sprintf(\\"%30000000d\\", 1); print length(x); system(\\"sleep 2\\") }"';
    const { code, err } = await build(`RUN for i in 1 2 3 4; do ${one} & done; wait; false`, '--memory=64m');
    expect(code).toBe(1);
    expect(err).toMatch(/out of memory \(limit: 64m\)$/m);
  });

  test('files in memory count, and are named where they took most of it', async (context) => {
    onlyByGroups(context);
    const fill = (path: string): string => `dd if=/dev/zero of=${path}/x bs=1M count=100`;
    for (const [step, ...flags] of [
      [`RUN --mount=type=tmpfs,target=/t ${fill('/t')}`],
      [`RUN exec ${fill('/dev/shm')}`, '--shm-size=200m'],
    ] as const) {
      const { code, err } = await build(step, '--memory=64m', ...flags);
      expect(code).toBe(1);
      expect(err).toMatch(/out of memory \(limit: 64m\)$/m);
      expect(err).toMatch(/^hint: 6\d\.\d\dMB of it were files in memory \(tmpfs mounts, \/dev\/shm\); --memory/m);
    }
    // A tmpfs with a size of its own is full before that.
    const sized = `RUN --mount=type=tmpfs,target=/t,size=20m ${fill('/t')}`;
    expect((await build(sized, '--memory=64m')).err).toMatch(/No space left on device/);
  });

  test('CPUs: a step that may have a tenth of one takes as much longer', async (context) => {
    onlyByGroups(context);
    const report = use.bench.path('cpus.json');
    const step = 'RUN i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done';
    await use.bench.ok([
      'build',
      '--no-cache',
      '--cpus=0.1',
      '--report',
      report,
      use.bench.context(`FROM base:1\n${step}\n`),
    ]);
    const { steps } = JSON.parse(readFileSync(report, 'utf8')) as ReportFacts;
    const { ms, usage } = steps.find(({ text }) => text === step) ?? {};
    const cpu = (usage?.userMs ?? 0) + (usage?.systemMs ?? 0);
    expect(cpu).toBeGreaterThan(40);
    // By the kernel's slices: a period of 0.1 s is given 10 ms, the last one not waited for.
    expect(ms).toBeGreaterThan(4 * cpu);
  });

  test('steps side by side have limits of their own, and see nothing of groups', async (context) => {
    onlyByGroups(context);
    const stage = (name: string): string => `FROM base:1 AS ${name}\nRUN ${take(40)}; cat /proc/self/cgroup > /made\n`;
    const names = ['a', 'b', 'c', 'd'];
    const copies = names.map((name) => `COPY --from=${name} /made /${name}\n`).join('');
    const { code, err } = await build(
      `${names.map(stage).join('')}FROM base:1\n${copies}RUN cat /[a-d]`,
      '-m64m',
      '--jobs=4',
    );
    expect(code, err).toBe(0);
    expect(err).toMatch(/ 0::\/$/m);
    expect(err).not.toMatch(/^#\d+ [\d.]+ .*tsbuild-/m);
  });

  test('limits decide nothing of what is in the cache', async () => {
    const context = use.bench.context('FROM base:1\n# tsbuild: memory=128m cpus=2\nRUN echo limited\n');
    await use.bench.ok(['build', '--memory=100m', context]);
    await use.bench.tool(['sed', '-i', 's/memory=128m cpus=2/memory=1g/', `${context}/Dockerfile`]);
    expect((await use.bench.ok(['build', '--progress=plain', '--memory=0', context])).err).toMatch(/^#\d+ CACHED$/m);
  });

  test('containers are limited, too', async () => {
    const { bench } = use;
    const big = await bench.tsbuild(['run', '-m', '32m', 'base:1', 'sh', '-c', `exec ${take(60)}`]);
    if (byGroups()) {
      expect(big.code).toBe(137);
      expect(big.err).toContain('error: The container ran out of memory (limit: 32m)\n');
    } else {
      expect(big.code).toBe(1);
      expect(big.err).toContain('Limits are not all held here: memory=32m holds for what each process allocates');
    }
    const said = 'ulimit -n; mount | grep /dev/shm';
    const { out } = await bench.ok(['run', '--ulimit=nofile=55', '--shm-size=10m', 'base:1', 'sh', '-c', said]);
    expect(out).toMatch(/^55\n/);
    expect(out).toContain('size=10240k');
  });

  test('a container with a life of its own keeps its limits, also for what is executed in it', async (context) => {
    onlyByGroups(context);
    const { bench } = use;
    await bench.ok(['run', '-d', '--name=kept', '-m64m', '--cpus=1', 'base:1', 'sleep', '1000']);
    const big = (): Promise<{ readonly code: number }> =>
      bench.tsbuild(['exec', 'kept', 'sh', '-c', `exec ${take(100)}`]);
    expect(groups().some((path) => path.startsWith('/sys/'))).toBe(true);
    expect((await big()).code).toBe(137);
    expect((await bench.ok(['exec', 'kept', 'sh', '-c', `${take(20)} && cat /proc/self/cgroup`])).out).toMatch(
      /^0::\/$/m,
    );
    await bench.ok(['restart', '-t0', 'kept']);
    expect((await big()).code).toBe(137);
    await bench.ok(['rm', '-f', 'kept']);
    await untilGone();
  });

  test('update changes the limits of a container that runs, and what one that does not is started with', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--name=changed',
      ...(byGroups() ? ['-m64m', '--cpus=1'] : []),
      'base:1',
      'sleep',
      '9999',
    ]);
    const big = (): Promise<{ readonly code: number }> =>
      bench.tsbuild(['exec', 'changed', 'sh', '-c', `exec ${take(100)}`]);
    const shown = async (): Promise<unknown> =>
      JSON.parse((await bench.ok(['inspect', '-f', '{{json .HostConfig}}', 'changed'])).out);
    if (byGroups()) {
      expect((await big()).code).toBe(137);
      expect((await bench.ok(['update', '--memory=300m', '--cpus', '0.5', 'changed'])).out).toBe('changed\n');
      expect((await big()).code).toBe(0);
      expect(await shown()).toMatchObject({ Memory: 300 * 2 ** 20, MemorySwap: 600 * 2 ** 20, NanoCpus: 5e8 });
      await bench.ok(['update', '--memory=32m', 'changed']);
      expect((await big()).code).toBe(137);
    }
    // In no group for sets of CPUs.
    expectFailure(await bench.tsbuild(['update', '--cpuset-cpus=0', '--restart=always', 'changed']), {
      code: 1,
      says: ['changed', 'group', 'tsbuild stop changed'],
    });
    await bench.ok(['stop', '-t0', 'changed']);
    await bench.ok(['update', '--memory=400m', '--pids-limit=50', '--cpu-quota=30000', 'changed']);
    expect(await shown()).toMatchObject({
      Memory: 400 * 2 ** 20,
      PidsLimit: 50,
      CpuQuota: 30_000,
      RestartPolicy: { Name: 'no' },
    });
    await bench.ok(['start', 'changed']);
    if (byGroups()) expect((await big()).code).toBe(0);
    await bench.ok(['rm', '-f', 'changed']);
    await untilGone();
  });

  test('a step without limits that the machine, or the container around tsbuild, ends is told of as out of memory', async ({
    skip,
  }) => {
    const own = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    const parent = `/sys/fs/cgroup/memory${own ?? ''}`;
    skip(who.uid !== 0 || own === undefined || !existsSync(parent), 'it takes root and cgroups of version 1');
    // As a container is limited: tsbuild and all of its steps together.
    const group = `${parent}/around-${use.bench.mark}`;
    mkdirSync(group);
    try {
      writeFileSync(`${group}/memory.limit_in_bytes`, String(500 * 2 ** 20));
      const swap = `${group}/memory.memsw.limit_in_bytes`;
      if (existsSync(swap)) writeFileSync(swap, String(500 * 2 ** 20));
      const context = use.bench.context(`FROM base:1\nRUN exec ${take(900)}\n`);
      const command = use.bench.command(['build', '--progress=plain', '-o', 'type=cacheonly', context]).join(' ');
      const { code, err } = await use.bench.start(['sh', '-c', `echo $$ > ${group}/cgroup.procs; exec ${command}`])
        .ended;
      expect(code, err).toBe(1);
      expect(err).toMatch(/SIGKILL: out of memory: the machine, or the container around tsbuild, had no more$/m);
      expect(err).toMatch(/^hint: give it more memory, or run fewer steps at a time with --jobs$/m);
    } finally {
      await until('the group is empty', () => readFileSync(`${group}/cgroup.procs`, 'utf8') === '');
      rmdirSync(group);
    }
  });

  test('nothing is left of groups, whatever ends', async (context) => {
    onlyByGroups(context);
    expect(groups()).toEqual([]);
    const { bench } = use;
    const dockerfile = bench.context('FROM base:1\nRUN echo begun; sleep 1000\n');
    const start = () =>
      bench.tsbuildStart(['build', '--progress=plain', '--no-cache', '-m64m', '--cpus=1', dockerfile]);
    const interrupted = start();
    await interrupted.prints(/ begun\n/);
    expect(groups()).not.toEqual([]);
    interrupted.child.kill('SIGINT');
    await interrupted.ended;
    expect(groups()).toEqual([]);
    const killed = start();
    await killed.prints(/ begun\n/);
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(groups()).not.toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
    await untilGone();
  });

  test('groups that somebody takes away during a step are missed, and the step ends as it would', async (context) => {
    onlyByGroups(context);
    const { bench } = use;
    const dockerfile = bench.context(
      'FROM base:1\nRUN --mount=type=cache,target=/c echo begun; until test -e /c/go; do sleep 0.1; done; echo over\n',
    );
    const running = bench.tsbuildStart(['build', '--progress=plain', '--no-cache', '-m64m', dockerfile]);
    await running.prints(/ begun\n/);
    const taken = groups().filter((path) => path.startsWith('/sys/'));
    expect(taken).not.toEqual([]);
    for (const group of taken) {
      // Of version 2, a group with controllers for others has no processes; tsbuild's own are beside it then.
      const [beside = dirname(group)] = globSync(group.replace(/\.[^/]*$/, '*.own'));
      // Again: a process that begins meanwhile is in the group of who began it.
      await until('the group is taken away', () => {
        try {
          for (const pid of readFileSync(`${group}/cgroup.procs`, 'utf8').split('\n').filter(Boolean))
            writeFileSync(join(beside, 'cgroup.procs'), pid);
          rmdirSync(group);
          return true;
        } catch {
          return false;
        }
      });
    }
    for (const cache of globSync(`${bench.store}/mounts/*/fs`)) writeFileSync(join(cache, 'go'), '');
    const { code, err } = await running.ended;
    expect(code, err).toBe(0);
    expect(err).toContain(' over\n');
    expect(err.match(/Limits were not held to the end/g)).toHaveLength(1);
    await untilGone();
  });

  test.each<[string, RegExp]>([
    ['--memory=5m', /Cannot use --memory "5m": the least memory is 6m/],
    ['--memory=much', /Cannot use --memory "much": expected a number and a unit/],
    ['--memory-swap=1g', /Cannot use --memory-swap "1g": it takes a limit of memory as well/],
    ['--cpus=100000', /Cannot use --cpus "100000": there are only \d+/],
    ['--cpus=0.001', /Cannot use --cpus "0.001": the least is 0.01/],
    ['--cpus=many', /Cannot use --cpus "many": expected a number such as 1.5/],
    ['--ulimit=nofiles=3', /Cannot use --ulimit "nofiles=3": there is no such limit\nhint: did you mean nofile\?/],
    ['--ulimit=nofile=3:2', /Cannot use --ulimit "nofile=3:2": the soft limit is above the hard one/],
    ['--resource=memory=64m,cpu-share=3', /there is no such limit\nhint: did you mean cpu-shares=\?/],
    ['--resource=cpu-period=5', /Cannot use --resource cpu-period=5: expected a number from 1000 to 1000000/],
  ])('%s is refused', async (flag, message) => {
    const { code, err } = await build('RUN true', flag);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  test('limits out of range in a comment are refused with their place', async () => {
    for (const [comment, message] of [
      ['memory=1k', /memory=1k is no limit of a step: the least memory is 6m/],
      ['cpus=none', /cpus=none is no limit of a step: expected a number/],
      ['cpu=1', /no setting "cpu"[\s\S]*did you mean cpus=/],
    ] as const) {
      const { code, err } = await build(`# tsbuild: ${comment}\nRUN true`);
      expect(code).toBe(1);
      expect(err).toMatch(message);
      expect(err).toContain('>>> RUN true');
    }
  });

  test('a limit that is above that of tsbuild itself names it', async () => {
    const { code, err } = await build('RUN true', '--ulimit=nofile=2147483647');
    expect(code).toBe(1);
    expect(err).toMatch(/Cannot set up the step \(limits\): cannot set limit nofile \(EPERM\)/);
    expect(err).toMatch(/^hint: a step can have no more than tsbuild itself has: "ulimit -Ha" shows that$/m);
  });

  test('sets of CPUs and shares are BuildKit’s', async (context) => {
    onlyByGroups(context);
    const { code, err } = await build(
      'RUN grep Cpus_allowed_list /proc/self/status',
      '--resource=cpuset-cpus=0,cpu-shares=512',
    );
    expect(code, err).toBe(0);
    if (/cpuset/.test(held) || !err.includes('is not enforced')) expect(err).toMatch(/Cpus_allowed_list:\s+0$/m);
  });

  test('a container that others may ask for remembers that it ran out of memory, until its next start', async (context) => {
    onlyByGroups(context);
    const { bench } = use;
    const oom = async (): Promise<string> =>
      (await bench.ok(['inspect', '-f', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'greedy'])).out.trim();
    await bench.ok([
      'run',
      '-d',
      '--name=greedy',
      '-m64m',
      'base:1',
      'sh',
      '-c',
      `[ -e /once ] || { touch /once; exec ${take(100)}; }`,
    ]);
    expect((await bench.ok(['wait', 'greedy'])).out).toBe('137\n');
    expect(await oom()).toBe('true 137');
    const { out } = await bench.ok(['events', '--no-stream', '-f', 'container=greedy', '--format', '{{.Action}}']);
    expect(out).toBe('create\nstart\noom\ndie\n');
    await bench.ok(['start', '-a', 'greedy']);
    expect(await oom()).toBe('false 0');
    await bench.ok(['rm', 'greedy']);
    await untilGone();
  });
});
