import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lookAtLimits, sweepDeadGroups } from '../../src/limits/index.ts';
import { liftingLimits, shortfall } from '../../src/limits/explain.ts';
import { StepGroup } from '../../src/limits/group.ts';
import { readHierarchies } from '../../src/limits/hierarchies.ts';
import { Ledger } from '../../src/limits/ledger.ts';
import { isDead, isOwnGroup, ownerName, parentOf } from '../../src/limits/owners.ts';
import { findPlaces } from '../../src/limits/places.ts';
import { handDown } from '../../src/limits/prepare.ts';
import { controllersFor, settingsFor } from '../../src/limits/settings.ts';
import type { Controller, ResourceLimits } from '../../src/limits/types.ts';
import { FakeKernel, NAMESPACE } from './fake-kernel.ts';

const MB = 2 ** 20;
const ALL: readonly Controller[] = ['memory', 'cpu', 'cpuset', 'pids'];

describe('whose a group is', () => {
  const kernel = new FakeKernel([], '/').process(200, 100, '/cg', 77);
  const name = (pid: number, start: number, rest = '', namespace: number = NAMESPACE): string =>
    `tsbuild-${namespace}-${pid}-${start}${rest}`;

  test('stands in its name: its number, its namespace and its beginning', () => {
    expect(ownerName(kernel, 200)).toBe(name(200, 77));
    // What cannot be seen has begun at no time, and is no one who lives.
    expect(ownerName(kernel, 999)).toBe(name(999, 0));
  });

  test.each([
    ['one that lives', name(200, 77), false],
    ['one of its steps', name(200, 77, '.0f3a-12'), false],
    ['its own', name(200, 77, '.own'), false],
    ['another one of that number', name(200, 78), true],
    ['one that is gone', name(201, 77, '.0f3a-1'), true],
    ['one that nobody can see from here', name(201, 77, '', NAMESPACE + 1), false],
    ['somebody else', 'user.slice', false],
    ['somebody else with a like name', 'tsbuild-1', false],
    ['a path', `${name(201, 77)}/x`, false],
    ['more behind it', name(201, 77, '.own.x'), false],
    ['a line more', `${name(201, 77)}\n`, false],
    ['nobody', '', false],
  ])('%s: dead is %s', (_who, group, dead) => {
    expect(isDead(kernel, group)).toBe(dead);
  });

  test('that of a process itself is told from those of its steps', () => {
    expect(isOwnGroup(name(1, 2, '.own'))).toBe(true);
    for (const other of [name(1, 2), name(1, 2, '.0-1'), '.own', 'x.own']) expect(isOwnGroup(other)).toBe(false);
  });

  test('parents are found behind names with anything in them', () => {
    const odd = new FakeKernel([], '/').set('/proc/7/stat', '7 (a) S 1 (b)\n) R 42 0 0');
    expect(parentOf(odd, 7)).toBe(42);
    expect(parentOf(odd, 8)).toBeUndefined();
  });
});

describe('the book of groups', () => {
  let home: string;
  let ledger: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'tsbuild-ledger-'));
    ledger = join(home, 'cgroups');
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test('is there while groups are', () => {
    const own = new Ledger(ledger, 'tsbuild-1-2-3');
    own.open(['/a']);
    own.open(['/a', '/b']);
    const other = new Ledger(ledger, 'tsbuild-1-2-4');
    other.open(['/c']);
    own.close();
    expect(readdirSync(ledger)).toEqual(['tsbuild-1-2-4']);
    other.close();
    expect(readdirSync(home)).toEqual([]);
    // Twice is once.
    other.close();
  });

  test('may have anything in it, and nothing but empty groups of dead owners goes', () => {
    const kernel = new FakeKernel(['memory'], '/own').process(5, 1, '/cg');
    const dead = `tsbuild-${NAMESPACE}-4-4`;
    for (const path of ['/cg/a', '/cg/a/of-others', `/cg/a/${dead}.0-1`, `/cg/a/${dead}.0-2`, `/cg/a/${dead}.0-2/inner`])
      kernel.makeGroup(path);
    new Ledger(ledger, dead).open(['/cg/a', 'relative', '../..', '/not/there', '']);
    writeFileSync(join(ledger, 'nonsense'), '/cg/a');
    sweepDeadGroups(kernel, ledger);
    expect(kernel.all).toEqual(['/cg', '/cg/own', '/cg/a', '/cg/a/of-others', `/cg/a/${dead}.0-2`, `/cg/a/${dead}.0-2/inner`]);
    // It is tried again while one is left.
    expect(readdirSync(ledger).toSorted()).toEqual(['nonsense', dead]);
    kernel.removeGroup(`/cg/a/${dead}.0-2/inner`);
    sweepDeadGroups(kernel, ledger);
    expect(kernel.all).toEqual(['/cg', '/cg/own', '/cg/a', '/cg/a/of-others']);
    expect(readdirSync(ledger)).toEqual(['nonsense']);
  }); // oxfmt-ignore

  test('need not be there', () => {
    expect(() => sweepDeadGroups(new FakeKernel([], '/'), join(home, 'none'))).not.toThrow();
  });
});

describe('what the kernel is told of limits', () => {
  const told = (version: 1 | 2, limits: ResourceLimits): Readonly<Record<string, string>> =>
    Object.fromEntries(
      controllersFor(limits).flatMap((controller) =>
        settingsFor(controller, version, limits, () => undefined).map(({ file, value }) => [file, value]),
      ),
    );
  const limits = fc.record(
    {
      memory: fc.integer({ min: 6 * MB, max: 2 ** 46 }),
      swap: fc.oneof(fc.constant(-1), fc.nat(2 ** 40)),
      cpuQuota: fc.integer({ min: 1000, max: 10_000_000 }),
      cpuPeriod: fc.integer({ min: 1000, max: 1_000_000 }),
      cpuShares: fc.integer({ min: 2, max: 262_144 }),
      processes: fc.integer({ min: 1, max: 4_194_304 }),
    },
    { requiredKeys: [] },
  );

  test('is what was asked for, in either version (property)', () => {
    fc.assert(
      fc.property(limits, ({ swap, ...asked }) => {
        const both = swap === undefined || asked.memory === undefined ? undefined : swap < 0 ? -1 : asked.memory + swap;
        const all: ResourceLimits = { ...asked, ...(both === undefined ? {} : { memorySwap: both }) };
        const [first, second] = [told(1, all), told(2, all)];
        if (asked.memory !== undefined) {
          expect(first['memory.limit_in_bytes']).toBe(String(asked.memory));
          expect(second['memory.max']).toBe(String(asked.memory));
          // Version 1 counts both together, version 2 swap alone. Docker's default is as much swap as memory.
          const swapBytes = both === undefined ? asked.memory : both - asked.memory;
          expect(second['memory.swap.max']).toBe(both === -1 ? 'max' : String(swapBytes));
          expect(first['memory.memsw.limit_in_bytes']).toBe(both === -1 ? '-1' : String(asked.memory + swapBytes));
        } else expect(Object.keys({ ...first, ...second }).filter((file) => file.startsWith('memory'))).toEqual([]);
        if (asked.cpuQuota !== undefined) {
          expect(first['cpu.cfs_quota_us']).toBe(String(asked.cpuQuota));
          expect(second['cpu.max']).toBe(`${asked.cpuQuota} ${asked.cpuPeriod ?? 100_000}`);
        } else expect(second['cpu.max']).toBeUndefined();
        if (asked.cpuShares !== undefined) {
          expect(first['cpu.shares']).toBe(String(asked.cpuShares));
          const weight = Number(second['cpu.weight']);
          expect(Number.isInteger(weight) && weight >= 1 && weight <= 10_000).toBe(true);
        }
      }),
    );
  });

  test('weights keep the order of shares (cgroup-v2: 1 to 10,000)', () => {
    const weight = (cpuShares: number): number => Number(told(2, { cpuShares })['cpu.weight']);
    fc.assert(
      fc.property(fc.nat(300_000), fc.nat(300_000), (a, b) => {
        const [low, high] = [Math.max(1, Math.min(a, b)), Math.max(1, a, b)];
        expect(weight(low)).toBeLessThanOrEqual(weight(high));
      }),
    );
    expect([2, 1024, 262_144].map(weight)).toEqual([1, 39, 10_000]);
  });

  test('processes alone are no reason for a group', () => {
    expect(controllersFor({ processes: 9 })).toEqual([]);
    expect(controllersFor({})).toEqual([]);
    expect(controllersFor({ processes: 9, memory: MB, cpuShares: 2, cpusetMems: '0' })).toEqual(['memory', 'cpu', 'cpuset', 'pids']);
  }); // oxfmt-ignore
});

describe('where groups are made', () => {
  const deep = (hands: readonly string[] = ['memory', 'cpu', 'cpuset', 'pids']): FakeKernel => {
    const kernel = new FakeKernel(ALL, '/slice/scope').process(50, 1, '/cg/slice/scope');
    for (const group of ['/cg', '/cg/slice']) kernel.hand(group, ...hands);
    return kernel;
  };
  const found = (kernel: FakeKernel) => findPlaces(kernel, readHierarchies(kernel), ALL, 100);

  test('beside a scope that others are in, where that sets no limit', () => {
    expect(found(deep()).places).toEqual([{ version: 2, directory: '/cg/slice', controllers: ALL }]);
    // What the kernel writes where there is none (cgroup-v2.rst).
    const none = { 'memory.max': 'max\n', 'memory.high': 'max\n', 'memory.swap.max': 'max\n', 'cpu.max': 'max 100000\n', 'cpuset.cpus': '\n', 'io.max': '' };
    const kernel = deep();
    for (const [file, text] of Object.entries(none)) kernel.set(`/cg/slice/scope/${file}`, text);
    expect(found(kernel).places[0]?.directory).toBe('/cg/slice');
    // systemd gives one to every unit, and steps have one of their own.
    expect(found(kernel.set('/cg/slice/scope/pids.max', '4915\n')).places).toHaveLength(1);
  }); // oxfmt-ignore

  test.each([
    ['memory.max', '1073741824\n'],
    ['memory.high', '536870912\n'],
    ['memory.swap.max', '0\n'],
    ['cpu.max', '50000 100000\n'],
    ['cpuset.cpus', '0-1\n'],
    ['cpuset.mems', '0\n'],
    ['io.max', '8:16 rbps=2097152 wbps=max riops=max wiops=120\n'],
  ])('nowhere that lets a step out of %s', (file, text) => {
    const { places, missing } = found(deep().set(`/cg/slice/scope/${file}`, text));
    expect(places).toEqual([]);
    expect([...missing]).toEqual(ALL.map((name) => [name, 'shared']));
  });

  test('in version 1, controllers that are mounted together are one group', () => {
    const kernel = new FakeKernel([], '/');
    const files: Readonly<Record<string, string>> = {
      '/proc/self/mountinfo': [
        '31 30 0:27 / /m/memory rw - cgroup cgroup rw,memory',
        '32 30 0:28 / /m/cpu,cpuset rw - cgroup cgroup rw,cpu,cpuset',
        '33 30 0:29 / /m/pids rw - cgroup cgroup rw,pids',
      ].join('\n'),
      '/proc/self/cgroup': '4:pids:/\n3:memory:/docker/1\n2:cpu,cpuset:/\n',
    };
    kernel.read = (path) => files[path];
    kernel.isWritable = (path) => !path.startsWith('/m/pids');
    const { places, missing } = findPlaces(kernel, readHierarchies(kernel), ALL, 1);
    expect(places).toEqual([
      { version: 1, directory: '/m/memory/docker/1', controllers: ['memory'] },
      { version: 1, directory: '/m/cpu,cpuset', controllers: ['cpu', 'cpuset'] },
    ]);
    expect([...missing]).toEqual([['pids', 'forbidden']]);
  });

  test('odd content of the files of /proc is no place', () => {
    const kernel = new FakeKernel([], '/');
    const text = fc.array(fc.constantFrom('0::', '1:memory:', ':', '/', '\n', ' - ', 'cgroup2', 'cgroup', ' ', '31', '\\040', '\\', '..', 'rw,memory', 'x'), { maxLength: 20 }).map((all) => all.join(''));
    fc.assert(
      fc.property(text, text, (mounts, groups) => {
        kernel.read = (path) => (path.endsWith('mountinfo') ? mounts : groups);
        for (const { own, top } of readHierarchies(kernel)) expect(own.startsWith(top)).toBe(true);
      }),
      { numRuns: 500 },
    );
  }); // oxfmt-ignore
});

describe('a group that hands controllers down', () => {
  const place = { version: 2, directory: '/cg/own', controllers: ['memory'], prepare: { move: [100, 101] } } as const;
  const kernel = (): FakeKernel =>
    new FakeKernel(['memory'], '/own').hand('/cg', 'memory').process(101, 100, '/cg/own');

  test('has its processes in one beneath it', () => {
    const one = kernel();
    handDown(one, place, 'home.own');
    expect(one.processes).toEqual({ '/cg/own/home.own': [100, 101] });
    expect(one.read('/cg/own/cgroup.subtree_control')).toBe('memory\n');
  });

  test('waits for none that has ended, and takes those that began meanwhile', () => {
    const one = kernel();
    const write = FakeKernel.prototype.write.bind(one);
    let born = 0;
    one.write = (path, text) => {
      if (text === '101') one.end(101);
      write(path, text);
      if (text === '100' && born++ === 0) one.process(102, 100, '/cg/own');
    };
    handDown(one, place, 'home.own');
    expect(one.processes).toEqual({ '/cg/own/home.own': [100, 102] });
  });

  test('may have been begun by another session of this process', () => {
    const one = kernel();
    one.makeGroup('/cg/own/home.own');
    handDown(one, place, 'home.own');
    expect(one.read('/cg/own/cgroup.subtree_control')).toBe('memory\n');
  });

  test('that gets ever more processes is given up', () => {
    const one = kernel();
    const write = FakeKernel.prototype.write.bind(one);
    let next = 1000;
    one.write = (path, text) => {
      write(path, text);
      if (path.endsWith('procs')) one.process(next++, 100, '/cg/own');
    };
    expect(() => handDown(one, place, 'home.own')).toThrow(
      expect.objectContaining({ code: 'TSB_SANDBOX', message: expect.stringContaining('Cannot prepare groups') as string }),
    );
  }); // oxfmt-ignore

  test('is left alone where nothing is to be done', () => {
    const one = kernel();
    handDown(one, { version: 2, directory: '/cg/own', controllers: ['memory'] }, 'home.own');
    expect(one.writes).toEqual([]);
  });
});

describe('the group of a step', () => {
  const places = [{ version: 2, directory: '/cg/own', controllers: ['memory'] }] as const;
  const made = (): readonly [FakeKernel, StepGroup] => {
    const kernel = new FakeKernel(['memory'], '/x').hand('/cg', 'memory');
    kernel.makeGroup('/cg/own');
    kernel.hand('/cg/own', 'memory');
    return [kernel, new StepGroup(kernel, places, 'step', { memory: 64 * MB })];
  };

  test.each<[string, string | undefined, string | undefined, object]>([
    ['an old kernel', undefined, undefined, { killed: 0 }],
    ['nothing yet', 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n', '4096\n', { killed: 0, peakMemory: 4096 }],
    ['three', 'oom 9\noom_kill 3\noom_group_kill 1\n', '67108864', { killed: 3, peakMemory: 67_108_864 }],
    ['other words', 'oom_killer 5\nxoom_kill 4\n', 'max\n', { killed: 0 }],
    ['nonsense', 'oom_kill many\n', '-1', { killed: 0 }],
  ])('counts %s', (_what, events, peak, counts) => {
    const [kernel, group] = made();
    if (events !== undefined) kernel.set('/cg/own/step/memory.events', events);
    if (peak !== undefined) kernel.set('/cg/own/step/memory.peak', peak);
    expect(group.counts()).toEqual(counts);
  }); // oxfmt-ignore

  test('is lost when somebody else takes it away, and removing it is no failure then', async () => {
    const [kernel, group] = made();
    expect(group.isLost()).toBe(false);
    kernel.removeGroup('/cg/own/step');
    expect(group.isLost()).toBe(true);
    expect(group.counts()).toEqual({ killed: 0 });
    await group.remove();
  });

  test('is removed when its last process is gone, a little later', async () => {
    const [kernel, group] = made();
    kernel.process(7, 1, '/cg/own/step');
    const removed = group.remove();
    kernel.end(7);
    await removed;
    expect(kernel.all).not.toContain('/cg/own/step');
  });

  test('that cannot be made as a whole is not made', () => {
    const [kernel] = made();
    const both = [...places, { version: 2, directory: '/cg/none', controllers: ['cpu'] }] as const;
    expect(() => new StepGroup(kernel, both, 'other', { memory: 64 * MB, cpuQuota: 1000 })).toThrow(/^Cannot limit the step/);
    expect(kernel.all).not.toContain('/cg/own/other');
  }); // oxfmt-ignore
});

describe('what does not hold is said', () => {
  test.each<[ResourceLimits, readonly Controller[], string | undefined]>([
    [{ memory: 64 * MB }, [], undefined],
    // Processes have other limits besides.
    [{ processes: 9 }, ['pids'], undefined],
    [{ memory: 64 * MB }, ['memory'], 'memory=64m holds for what each process allocates, not for all of them together'],
    [{ cpuQuota: 150_000 }, ['cpu'], 'cpus=1.5 is not enforced'],
    [{ cpuQuota: 50_000, cpuPeriod: 25_000 }, ['cpu'], 'cpus=2 is not enforced'],
    [{ cpuShares: 512 }, ['cpu'], 'the share of CPU time is not enforced'],
    [{ cpusetCpus: '0' }, ['cpuset'], 'the choice of CPUs is not enforced'],
    [{ memory: MB, cpuShares: 2 }, ['memory', 'cpu'], 'memory=1m holds for what each process allocates, not for all of them together, the share of CPU time is not enforced'],
  ])('%j without %j', (limits, missing, text) => {
    const said = shortfall(limits, new Map(missing.map((name) => [name, 'forbidden'])));
    expect(said).toBe(text === undefined ? undefined : `${text}: tsbuild may not make cgroups here (tsbuild doctor says what would lift that)`);
  }); // oxfmt-ignore

  test.each([
    ['none', 2, false, /^limit the container around tsbuild/],
    ['forbidden', undefined, false, /^limit the container around tsbuild/],
    // Root may do everything but write to a tree that is read-only for it.
    ['forbidden', 2, true, /^limit the container around tsbuild/],
    ['forbidden', 1, false, /^run tsbuild as root/],
    ['not-given', 2, true, /Delegate=cpu cpuset io memory pids/],
    ['shared', 2, false, /^systemd-run --user --scope -p Delegate=yes/],
  ] as const)('what lifts %s of version %s, root %s', (obstacle, version, isRoot, fix) => {
    expect(liftingLimits(obstacle, version, isRoot)).toMatch(fix);
  });

  test('by the doctor, who tries and leaves nothing', () => {
    const kernel = new FakeKernel(['memory', 'cpu', 'pids'], '/').hand('/cg', 'memory', 'cpu', 'pids');
    expect(lookAtLimits(kernel, 100, true)).toEqual({ state: 'ok', text: 'memory, CPUs, processes by cgroup v2' });
    expect(kernel.all).toEqual(['/cg']);
    kernel.makeGroup = () => {
      throw Object.assign(new Error('EROFS'), { code: 'EROFS' });
    };
    expect(lookAtLimits(kernel, 100, true)).toMatchObject({
      state: 'warning',
      text: expect.stringMatching(/^the kernel refuses cgroups: Cannot limit the step: the file system is read-only/) as string,
      fix: expect.stringMatching(/^limit the container around tsbuild/) as string,
    });
    expect(lookAtLimits(new FakeKernel([], '/').set('/proc/self/mountinfo', ''), 100, false)).toMatchObject({
      text: '--memory for each process only, --cpus not at all',
      fix: expect.stringMatching(/^limit the container around tsbuild/) as string,
    });
  }); // oxfmt-ignore
});
