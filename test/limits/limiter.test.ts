import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Limiter, lookAtLimits, sweepDeadGroups } from '../../src/limits/index.ts';
import { FakeKernel, NAMESPACE } from './fake-kernel.ts';

const MEMORY = 64 * 2 ** 20;
const LIMITS = { memory: MEMORY, cpuQuota: 50_000, processes: 99 };
const SCOPE = '/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope';

let ledger: string;
let said: string[];

beforeEach(() => {
  ledger = join(mkdtempSync(join(tmpdir(), 'tsbuild-limits-')), 'cgroups');
  said = [];
});
afterEach(() => rmSync(join(ledger, '..'), { recursive: true }));

const limiterOn = (kernel: FakeKernel, pid = 100): Limiter =>
  new Limiter({ ledger, onWarning: (text) => void said.push(text), files: kernel, pid });

/** Without the mark of the limiter. */
const unmarked = (path: string): string => path.replace(/\.[0-9a-f]{8}(?=-\d+$|$)/, '');

/** A user's scope as systemd makes it: everything from the user's service down is the user's. */
function userScope(controllers: readonly string[] = ['cpu', 'memory', 'pids']): FakeKernel {
  const kernel = new FakeKernel(['cpuset', 'cpu', 'io', 'memory', 'pids'], SCOPE);
  let at = kernel.top;
  for (const part of SCOPE.split('/').filter(Boolean)) {
    if (!at.includes('user@1000')) kernel.denied.add(at);
    if (!at.endsWith('app.slice')) kernel.hand(at, ...controllers);
    at += `/${part}`;
  }
  return kernel.hand(`${kernel.top}${SCOPE.replace('/run-1.scope', '')}`, ...controllers);
}

describe('groups of version 2', () => {
  test('that somebody else takes away are missed, once', async () => {
    const kernel = userScope();
    const limiter = limiterOn(kernel);
    for (const { cgroups, ...step } of [limiter.begin(LIMITS), limiter.begin(LIMITS), limiter.begin(LIMITS)]) {
      if (said.length === 0) expect(cgroups).toHaveLength(1);
      kernel.removeGroup(cgroups[0] ?? '');
      expect(step.counts()).toEqual({ killed: 0 });
      await step[Symbol.asyncDispose]();
    }
    expect(said).toEqual([expect.stringMatching(/^Limits were not held to the end: .*took the groups away/)]);
    await limiter[Symbol.asyncDispose]();
    const another = limiterOn(kernel);
    await using _held = another.begin(LIMITS);
    await another[Symbol.asyncDispose]();
    expect(said).toHaveLength(1);
  });

  test('are made in the scope of this process, whose processes move, and go with their steps', async () => {
    const kernel = userScope();
    const scope = kernel.top + SCOPE;
    kernel.process(101, 100, scope).process(102, 101, scope);
    const limiter = limiterOn(kernel);
    const step = limiter.begin(LIMITS);
    const owner = `tsbuild-${NAMESPACE}-100-1100`;
    expect(kernel.processes).toEqual({ [`${scope}/${owner}.own`]: [100, 101, 102] });
    expect(step.cgroups.map(unmarked)).toEqual([`${scope}/${owner}-1`]);
    expect(kernel.read(`${step.cgroups[0]}/memory.max`)).toBe(String(MEMORY));
    expect(kernel.read(`${step.cgroups[0]}/memory.swap.max`)).toBe(String(MEMORY));
    expect(kernel.read(`${step.cgroups[0]}/cpu.max`)).toBe('50000 100000');
    expect(kernel.read(`${step.cgroups[0]}/pids.max`)).toBe('99');
    expect(step.ulimits).toEqual([]);
    expect(said).toEqual([]);
    kernel.set(`${step.cgroups[0]}/memory.events`, 'low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\n');
    kernel.set(`${step.cgroups[0]}/memory.peak`, '12345\n');
    expect(step.counts()).toEqual({ killed: 2, peakMemory: 12345 });
    // A second one beside it, for which nobody moves.
    await using other = limiter.begin({ memory: MEMORY });
    expect(other.cgroups.map(unmarked)).toEqual([`${scope}/${owner}-2`]);
    await step[Symbol.asyncDispose]();
    expect(kernel.groups(scope).map(unmarked)).toEqual([`${owner}.own`, `${owner}-2`]);
    await limiter[Symbol.asyncDispose]();
    expect(readdirSync(join(ledger, '..'))).toEqual([]);
  });

  test('are made beside a scope that others are in, where that gets nobody out of a limit', () => {
    const kernel = userScope();
    const slice = kernel.top + SCOPE.replace('/run-1.scope', '');
    kernel.process(50, 1, kernel.top + SCOPE);
    expect(limiterOn(kernel).begin(LIMITS).cgroups.map(unmarked)).toEqual([`${slice}/tsbuild-${NAMESPACE}-100-1100-1`]);
    expect(kernel.processes).toEqual({ [kernel.top + SCOPE]: [100, 50] });
    kernel.set(`${kernel.top}${SCOPE}/memory.max`, '1000000000\n');
    const limiter = limiterOn(kernel);
    expect(limiter.begin(LIMITS)).toMatchObject({
      cgroups: [],
      ulimits: [{ name: 'data', soft: MEMORY, hard: MEMORY }],
    });
    expect(said).toEqual([
      'Limits are not all held here: memory=64m holds for what each process allocates, not for all of them together, cpus=0.5 is not enforced: other programs are in the same cgroup (tsbuild doctor says what would lift that)',
    ]);
  });

  test('are made with the controllers that are there, and what is missing is said once', () => {
    const kernel = userScope(['memory', 'pids']);
    const limiter = limiterOn(kernel);
    expect(limiter.begin(LIMITS)).toMatchObject({ ulimits: [] });
    expect(kernel.writes.some((line) => line.includes('/cpu.'))).toBe(false);
    limiter.begin(LIMITS);
    expect(said).toEqual([
      'Limits are not all held here: cpus=0.5 is not enforced: the cgroup that tsbuild is in was not given these controllers (tsbuild doctor says what would lift that)',
    ]);
    expect(lookAtLimits(kernel, 100, false)).toMatchObject({
      state: 'warning',
      text: 'memory, processes by cgroup v2; --cpus not at all',
      fix: expect.stringContaining('Delegate=') as string,
    });
  });

  test('cannot be made by a user whose session is not delegated', () => {
    const kernel = new FakeKernel(['cpu', 'memory', 'pids'], '/user.slice/session-3.scope');
    for (const path of kernel.all) kernel.denied.add(path);
    expect(limiterOn(kernel).begin(LIMITS).cgroups).toEqual([]);
    expect(said[0]).toContain('tsbuild may not make cgroups here');
    expect(lookAtLimits(kernel, 100, false)).toEqual({
      state: 'warning',
      text: '--memory for each process only, --cpus not at all',
      fix: 'systemd-run --user --scope -p Delegate=yes tsbuild build .',
    });
    expect(lookAtLimits(kernel, 100, true).fix).toMatch(/^limit the container around tsbuild instead/);
  });

  test('beneath the root of all need nobody to move', () => {
    const kernel = new FakeKernel(['cpu', 'memory', 'pids'], '/').process(1, 0, '/cg');
    expect(limiterOn(kernel).begin(LIMITS).cgroups).toHaveLength(1);
    expect(kernel.processes).toEqual({ '/cg': [100, 1] });
  });

  test('of a process that is in its own group already are made beside that', async () => {
    const kernel = userScope();
    await using first = limiterOn(kernel).begin({ memory: MEMORY });
    const second = limiterOn(kernel).begin({ memory: MEMORY });
    expect(second.cgroups[0]?.replace(/[^/]+$/, '')).toBe(first.cgroups[0]?.replace(/[^/]+$/, ''));
  });

  test('that the kernel refuses leave nothing behind', () => {
    const kernel = userScope();
    kernel.write = (path, text) => {
      if (path.endsWith('cpu.max')) throw Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
      FakeKernel.prototype.write.call(kernel, path, text);
    };
    expect(() => limiterOn(kernel).begin(LIMITS)).toThrow(/^Cannot limit the step/);
    expect(kernel.all.filter((path) => /-\d+$/.test(path.slice(kernel.top.length + SCOPE.length)))).toEqual([]);
  });
});

test('nothing is looked for where nothing is limited', () => {
  const kernel = userScope();
  kernel.read = () => {
    throw new Error('read');
  };
  expect(limiterOn(kernel).begin({ processes: 2048 })).toMatchObject({ cgroups: [], ulimits: [] });
});

test('groups of processes that were killed are found by the next command, and those of others stay', () => {
  const kernel = userScope();
  const scope = kernel.top + SCOPE;
  const dead = limiterOn(kernel).begin(LIMITS);
  kernel.process(200, 1, scope.replace('/run-1.scope', ''));
  const alive = limiterOn(kernel, 200).begin(LIMITS);
  kernel.end(100);
  // The number came again.
  kernel.process(100, 1, kernel.top, 5000);
  kernel.makeGroup(`${scope}/tsbuild-1-100-1100.ab-1`);
  kernel.makeGroup(`${scope}/of-somebody-else`);
  kernel.process(300, 1, dead.cgroups[0] ?? '');
  sweepDeadGroups(kernel, ledger);
  expect(kernel.all).toContain(dead.cgroups[0]);
  expect(readdirSync(ledger)).toHaveLength(2);
  kernel.end(300);
  sweepDeadGroups(kernel, ledger);
  const left = kernel.groups(scope);
  expect(left.toSorted().map(unmarked)).toEqual([
    'of-somebody-else',
    'tsbuild-1-100-1100.ab-1',
    `tsbuild-${NAMESPACE}-200-1200-1`,
  ]);
  expect(kernel.all).toContain(alive.cgroups[0]);
  expect(readdirSync(ledger).map(unmarked)).toEqual([`tsbuild-${NAMESPACE}-200-1200`]);
});

test('no hard limit of a process is raised by one that stands in for a group', () => {
  const kernel = new FakeKernel([], '/');
  kernel.set(
    '/proc/self/limits',
    'Limit  Soft  Hard  Units\nMax data size             unlimited            1000000            bytes\n',
  );
  expect(limiterOn(kernel).begin({ memory: MEMORY }).ulimits).toEqual([{ name: 'data', soft: 1e6, hard: 1e6 }]);
});
