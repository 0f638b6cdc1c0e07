import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ContainerProcess, processesOf } from '../../src/containers/index.ts';
import { TempDir } from '../tree/support.ts';
import { until } from '../support/until.ts';

// Processes of the machine: those of a container are found by a namespace, and this process has one, too.
let dir: TempDir;
const children: ChildProcess[] = [];
beforeEach(() => void (dir = new TempDir()));
afterEach(async () => {
  await Promise.all(
    children.splice(0).map(async (child) => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended;
    }),
  );
  dir[Symbol.dispose]();
});

function start(program: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  children.push(child);
  return child;
}
const find = (child: Pick<ChildProcess, 'pid'>, shared = false): ContainerProcess | undefined =>
  processesOf(process.pid, shared).find(({ pid }) => pid === child.pid);

describe.each([false, true])('processes that share a namespace (of mounts: %s)', (shared) => {
  test('are told with whose they are, and what was typed', async () => {
    const child = start('/bin/sleep', '1000');
    await until('it is executed', () => find(child, shared)?.command === '/bin/sleep 1000');
    expect(find(child, shared)).toMatchObject({ parent: process.pid, uid: process.getuid?.() ?? -1, threads: 1 });
    // Pages of its own it has.
    expect(find(child, shared)?.memory).toBeGreaterThan(4096);
    expect(find({ pid: process.pid }, shared)?.threads).toBeGreaterThan(1);
  });
});

describe('a process', () => {
  test.each(['a) R 1 1', 'sp ace', '((', 'new\nline'])('may be called %j, which makes no other of it', async (name) => {
    const program = join(dir.path, name);
    writeFileSync(program, '#!/bin/sh\nread line\n', { mode: 0o755 });
    const child = start(program);
    await until('it is executed', () => find(child)?.command === `/bin/sh ${program}`);
    expect(find(child)).toMatchObject({ parent: process.pid, uid: process.getuid?.() ?? -1 });
  });

  test('has used the processor as long as it was busy, and began when it was started', async () => {
    const before = find({ pid: process.pid });
    const child = start('/bin/sleep', '1000');
    await until('it is there', () => find(child) !== undefined);
    const end = process.cpuUsage().user + 100_000;
    while (process.cpuUsage().user < end);
    const after = find({ pid: process.pid });
    // In ticks of 10 ms.
    expect((after?.cpu ?? 0) - (before?.cpu ?? 0)).toBeGreaterThanOrEqual(60);
    expect(find(child)?.started).toBeGreaterThanOrEqual(after?.started ?? Infinity);
    expect(find(child)?.cpu).toBeLessThan(after?.cpu ?? 0);
  });

  test('that has ended is in no list, and nobody shares anything with one that was never there', async () => {
    const child = start('/bin/true');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(find(child)).toBeUndefined();
    expect(processesOf(2 ** 30, false)).toEqual([]);
  });
});
