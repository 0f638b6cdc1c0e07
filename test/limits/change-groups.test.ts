import { expect, test } from 'vitest';
import { changeGroups, type HeldGroup, type KernelFiles } from '../../src/limits/index.ts';
import { FakeKernel } from './fake-kernel.ts';

const MB = 2 ** 20;

/** A group of version 2 as one is made for a container. */
function unified(): { readonly kernel: FakeKernel; readonly group: HeldGroup } {
  const kernel = new FakeKernel(['cpu', 'memory', 'pids'], '/user');
  kernel.hand(kernel.top, 'cpu', 'memory', 'pids');
  const directory = `${kernel.top}/box`;
  kernel.makeGroup(directory);
  return { kernel, group: { version: 2, directory, controllers: ['cpu', 'memory', 'pids'] } };
}

test('limits of what runs are changed in its groups', () => {
  const { kernel, group } = unified();
  const next = { memory: 100 * MB, memorySwap: 150 * MB, cpuQuota: 50_000, cpuShares: 1024, processes: 20 };
  expect(changeGroups(kernel, [group], { memory: 64 * MB, processes: 99 }, next)).toEqual([]);
  const read = (file: string): string | undefined => kernel.read(`${group.directory}/${file}`);
  expect(read('memory.max')).toBe(String(100 * MB));
  expect(read('memory.swap.max')).toBe(String(50 * MB));
  expect(read('cpu.max')).toBe('50000 100000');
  expect(read('cpu.weight')).toBe('39');
  expect(read('pids.max')).toBe('20');
});

test('nothing is changed where no group has one of the limits', () => {
  const { kernel, group } = unified();
  const changed = changeGroups(kernel, [group], {}, { memory: 64 * MB, cpusetCpus: '0' });
  expect(changed).toEqual(['cpuset']);
  expect(changeGroups(kernel, [], {}, { memory: 64 * MB })).toEqual(['memory']);
  expect(kernel.writes).toEqual([]);
});

/** Groups of version 1, where memory may not be more than memory and swap at any time. */
class FirstVersion implements Pick<KernelFiles, 'read' | 'write'> {
  memory: number = 64 * MB;
  both: number = 128 * MB;
  quota = '-1';
  refusesCpu = false;

  read(path: string): string | undefined {
    return path.endsWith('memory.memsw.limit_in_bytes') ? String(this.both) : undefined;
  }

  write(path: string, text: string): void {
    const refuse = (code: string): never => {
      throw Object.assign(new Error(code), { code });
    };
    const [memory, both] = [
      path.endsWith('memory.limit_in_bytes') ? Number(text) : this.memory,
      path.endsWith('memory.memsw.limit_in_bytes') ? Number(text) : this.both,
    ];
    if (path.endsWith('cpu.cfs_quota_us')) {
      if (this.refusesCpu) refuse('EINVAL');
      this.quota = text;
    }
    if (memory > both) refuse('EINVAL');
    if (memory < 16 * MB) refuse('EBUSY');
    this.memory = memory;
    this.both = both;
  }
}

const FIRST: readonly HeldGroup[] = [
  { version: 1, directory: '/memory/box', controllers: ['memory'] },
  { version: 1, directory: '/cpu/box', controllers: ['cpu'] },
];

test('memory with swap grows and shrinks in the order that version 1 wants', () => {
  const kernel = new FirstVersion();
  const files = kernel as unknown as KernelFiles;
  changeGroups(files, FIRST, { memory: 64 * MB }, { memory: 500 * MB });
  expect(kernel).toMatchObject({ memory: 500 * MB, both: 1000 * MB });
  changeGroups(files, FIRST, { memory: 500 * MB }, { memory: 32 * MB, memorySwap: 40 * MB });
  expect(kernel).toMatchObject({ memory: 32 * MB, both: 40 * MB });
});

test('what the kernel refuses leaves the limits as they were, and says why', () => {
  const kernel = new FirstVersion();
  const files = kernel as unknown as KernelFiles;
  expect(() => changeGroups(files, FIRST, { memory: 64 * MB }, { memory: 8 * MB })).toThrow(
    expect.objectContaining({ code: 'TSB_SANDBOX', hint: expect.stringContaining('more memory than that') }),
  );
  kernel.refusesCpu = true;
  expect(() => changeGroups(files, FIRST, { memory: 64 * MB }, { memory: 500 * MB, cpuQuota: 1000 })).toThrow();
  expect(kernel).toMatchObject({ memory: 64 * MB, both: 128 * MB, quota: '-1' });
});
