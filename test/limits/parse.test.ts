import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCpus, formatMemory, parseCpus, parseMemory, parseMemorySwap } from '../../src/limits/index.ts';
import { readHierarchies } from '../../src/limits/hierarchies.ts';
import { settingsFor } from '../../src/limits/settings.ts';
import { FakeKernel } from './fake-kernel.ts';

describe('amounts', () => {
  test.each([
    ['6m', 6 * 2 ** 20],
    ['1.5g', 1.5 * 2 ** 30],
    ['2gb', 2 * 2 ** 30],
    ['6291456', 6_291_456],
    ['0', 0],
  ])('memory %s', (text, bytes) => expect(parseMemory(text)).toBe(bytes));

  test.each(['', '-1', '5m', '1k', '1x', '9'.repeat(30), '1m 2m', '0x10'])('no memory: %j', (text) =>
    expect(() => parseMemory(text)).toThrow(/^Cannot use size/),
  );

  test.each([
    ['1', 100_000],
    ['0.01', 1000],
    ['1.5', 150_000],
    ['0', 0],
    ['0.123456789', 12_346],
    // As Docker's own documentation has it: docker run --cpus=".5".
    ['.5', 50_000],
    ['1.', 100_000],
    ['.0', 0],
  ])('CPUs %s', (text, quota) => expect(parseCpus(text, 2)).toBe(quota));

  test.each(['', '.', '..5', '1..', '2.01', '0.001', '-1', '1e1', '1,5', 'x', '1.2345678901', '9'.repeat(9)])(
    'no CPUs: %j',
    (text) => expect(() => parseCpus(text, 2)).toThrow(/^Cannot use .* CPUs: /),
  );

  test('swap contains the memory', () => {
    expect(parseMemorySwap('-1', 100)).toBe(-1);
    expect(parseMemorySwap('2g', 2 ** 30)).toBe(2 ** 31);
    expect(() => parseMemorySwap('1g', 2 ** 31)).toThrow(/less than the memory/);
    expect(() => parseMemorySwap('1g', undefined)).toThrow(/a limit of memory as well/);
  });

  test('are written as they are read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 6 * 2 ** 20, max: 2 ** 50 }), (bytes) => {
        expect(parseMemory(formatMemory(bytes))).toBe(bytes);
      }),
    );
    expect(formatMemory(64 * 2 ** 20)).toBe('64m');
    expect(formatCpus({ cpuQuota: 150_000 })).toBe('1.5');
    expect(formatCpus({ cpuQuota: 50_000, cpuPeriod: 25_000 })).toBe('2');
  });
});

describe('what the kernel is told', () => {
  const none = (): undefined => undefined;
  const lines = (...args: Parameters<typeof settingsFor>): readonly string[] =>
    settingsFor(...args).map(({ file, value }) => `${file}=${value}`);

  test.each([
    ['memory', 1, { memory: 100 }, ['memory.limit_in_bytes=100', 'memory.memsw.limit_in_bytes=200']],
    ['memory', 1, { memory: 100, memorySwap: -1 }, ['memory.limit_in_bytes=100', 'memory.memsw.limit_in_bytes=-1']],
    ['memory', 2, { memory: 100, memorySwap: 150 }, ['memory.max=100', 'memory.swap.max=50']],
    ['memory', 2, { memory: 100, memorySwap: -1 }, ['memory.max=100', 'memory.swap.max=max']],
    ['cpu', 1, { cpuQuota: 5000, cpuPeriod: 10_000 }, ['cpu.cfs_period_us=10000', 'cpu.cfs_quota_us=5000']],
    ['cpu', 2, { cpuQuota: 5000 }, ['cpu.max=5000 100000']],
    ['cpu', 2, { cpuShares: 1024 }, ['cpu.weight=39']],
    ['cpu', 2, { cpuShares: 262_144 }, ['cpu.weight=10000']],
    ['cpuset', 2, { cpusetCpus: '0-1' }, ['cpuset.cpus=0-1']],
    ['pids', 2, { processes: 9 }, ['pids.max=9']],
  ] as const)('%s v%i %j', (controller, version, limits, expected) =>
    expect(lines(controller, version, limits, none)).toEqual(expected),
  );

  test('version 1 wants sets of CPUs to be whole', () => {
    expect(lines('cpuset', 1, { cpusetCpus: '1' }, (file) => (file === 'cpuset.mems' ? '0\n' : undefined))).toEqual([
      'cpuset.cpus=1',
      'cpuset.mems=0',
    ]);
  });
});

describe('where this process is', () => {
  const read = (mountinfo: string, cgroup: string) => {
    const kernel = new FakeKernel([], '/');
    kernel.read = (path) => (path.endsWith('mountinfo') ? mountinfo : cgroup);
    return readHierarchies(kernel);
  };

  test('with version 1, 2, or both', () => {
    const mounts = [
      '30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro',
      '31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate',
      '32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct',
      '33 30 0:29 / /mnt/a\\040b rw - cgroup cgroup rw,memory',
      '34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    ].join('\n');
    const groups = '5:name=systemd:/x\n4:memory:/a:b/c\n3:cpu,cpuacct:/\n2:hugetlb:/\n0::/user/s\n';
    expect(read(mounts, groups)).toEqual([
      { version: 1, controllers: ['name=systemd'], top: '/sys/fs/cgroup/systemd', own: '/sys/fs/cgroup/systemd/x' },
      { version: 1, controllers: ['memory'], top: '/mnt/a b', own: '/mnt/a b/a:b/c' },
      {
        version: 1,
        controllers: ['cpu', 'cpuacct'],
        top: '/sys/fs/cgroup/cpu,cpuacct',
        own: '/sys/fs/cgroup/cpu,cpuacct',
      },
      { version: 2, controllers: [], top: '/sys/fs/cgroup/unified', own: '/sys/fs/cgroup/unified/user/s' },
    ]);
  });

  test('in a container that sees its own part of a tree, and not where the group lies elsewhere', () => {
    const mounts = '40 30 0:28 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw';
    expect(read(mounts, '0::/docker/1')).toMatchObject([{ own: '/sys/fs/cgroup' }]);
    expect(read(mounts, '0::/docker/1/a')).toMatchObject([{ own: '/sys/fs/cgroup/a' }]);
    expect(read(mounts, '0::/docker/12')).toEqual([]);
    expect(read('40 30 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw', '0::/../../x')).toEqual([]);
    expect(read('', '0::/')).toEqual([]);
    expect(read(mounts, '')).toEqual([]);
  });
});
