import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kernelFiles } from '../../src/limits/kernel-files.ts';
import { MemoryWatch, outOfMemory, processOutOfMemory } from '../../src/limits/out-of-memory.ts';
import { FakeKernel } from './fake-kernel.ts';

const LIMIT = 64 * 2 ** 20;

describe('that memory ran out is told', () => {
  test('with the limit as flags have it, and what sets another one', () => {
    expect(outOfMemory(LIMIT, undefined, 'step')).toEqual({
      text: 'out of memory (limit: 64m)',
      hint: '--memory SIZE sets another limit, or for this step a comment above it: # tsbuild: memory=2g',
    });
    expect(outOfMemory(LIMIT, undefined, 'container').hint).toBe('--memory SIZE sets another limit');
    expect(processOutOfMemory(LIMIT).text).toBe('out of memory (limit: 64m for each process)');
  });

  test('with what files in memory had of it, where that is most of it', () => {
    expect(outOfMemory(LIMIT, LIMIT / 2 + 1, 'container').hint).toBe(
      '33.55MB of it were files in memory (tmpfs mounts, /dev/shm); --memory SIZE sets another limit',
    );
    expect(outOfMemory(LIMIT, LIMIT / 2, 'container').hint).toBe('--memory SIZE sets another limit');
    expect(outOfMemory(LIMIT, 0, 'container').hint).toBe('--memory SIZE sets another limit');
  });
});

describe('the watch of the whole machine', () => {
  const kernel = (text?: string): FakeKernel => {
    const files = new FakeKernel([], '/');
    return text === undefined ? files : files.set('/proc/vmstat', text);
  };

  test('sees what is ended after it was made, and not what was before', () => {
    const files = kernel('pgfault 9\noom_kill 3\nnr_free 1\n');
    const watch = new MemoryWatch(files);
    expect(watch.hasKilled()).toBe(false);
    files.set('/proc/vmstat', 'oom_kill 4\n');
    expect(watch.hasKilled()).toBe(true);
  });

  test('sees nothing where the kernel does not count', () => {
    for (const text of [undefined, '', 'oom_kill_other 5\n', 'xoom_kill 5\n', 'oom_kill x\n'])
      expect(new MemoryWatch(kernel(text)).hasKilled()).toBe(false);
  });
});

test('the files of this machine: what is not there is nothing, and is not made', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-kernel-'));
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('file'), 'text');
  mkdirSync(at('group'));
  symlinkSync('file', at('link'));
  expect([kernelFiles.read(at('file')), kernelFiles.read(at('none'))]).toEqual(['text', undefined]);
  expect([kernelFiles.link(at('link')), kernelFiles.link(at('file'))]).toEqual(['file', undefined]);
  expect([kernelFiles.groups(folder), kernelFiles.groups(at('none'))]).toEqual([['group'], []]);
  expect([kernelFiles.isWritable(at('file')), kernelFiles.isWritable(at('none'))]).toEqual([true, false]);
  writeFileSync(at('name'), '/sys/fs/cgroup/größe');
  expect(kernelFiles.read(at('name'))).toBe('/sys/fs/cgroup/größe');
  kernelFiles.write(at('file'), 'more');
  expect(kernelFiles.read(at('file'))).toBe('more');
  expect(() => kernelFiles.write(at('none'), 'x')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  kernelFiles.makeGroup(at('group/inner'));
  expect(() => kernelFiles.removeGroup(at('group'))).toThrow(expect.objectContaining({ code: 'ENOTEMPTY' }));
  kernelFiles.removeGroup(at('group/inner'));
  kernelFiles.removeGroup(at('group'));
  expect(kernelFiles.groups(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});
