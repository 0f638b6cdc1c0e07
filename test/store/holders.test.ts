import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatHolder, otherUsers } from '../../src/store/index.ts';
import { holdersOf } from '../../src/store/holders.ts';
import { tryKernelLock } from '../../src/store/kernel-lock.ts';
import { TempDir } from '../tree/support.ts';

test('who holds a lock is told with what it does, where and since when, and for as long as it does', async () => {
  using dir = new TempDir();
  dir.mkdir('sessions');
  const sessions = join(dir.path, 'sessions');
  const path = join(sessions, 'one');
  const lock = tryKernelLock(path);
  expect(typeof lock).toBe('object');
  // This process is nobody whom it waits for.
  expect([holdersOf(path), otherUsers(sessions)]).toEqual([[], []]);
  if (typeof lock === 'object') lock.release();
  // As the command is started.
  const program = dir.write(
    'launch.cjs',
    `const { DatabaseSync } = require('node:sqlite');
    const db = new DatabaseSync(process.argv[2]);
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    console.log('locked');
    setInterval(() => undefined, 1000);`,
  );
  const child = spawn(process.execPath, ['--no-warnings', program, path, 'build', '.'], {
    cwd: dir.path,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    expect(tryKernelLock(path)).toBe('busy');
    expect(otherUsers(sessions)).toEqual([
      { pid: child.pid, command: `tsbuild ${path} build .`, cwd: dir.path, since: expect.any(Number) as number },
    ]);
    expect(holdersOf(join(dir.path, 'none'))).toEqual([]);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(otherUsers(sessions)).toEqual([]);
});

test.each([
  [{ pid: 12, command: 'tsbuild build .', cwd: '/src', since: 1000 }, 'process 12 (tsbuild build ., in /src, for 3 s)'],
  [{ pid: 12, command: 'tsbuild run x', since: 1000 }, 'process 12 (tsbuild run x, for 3 s)'],
  // Clocks of file systems run ahead, and of another user's process nothing may be known.
  [{ pid: 12, command: '', since: 9000 }, 'process 12 (for 0 s)'],
])('%j', (holder, text) => {
  expect(formatHolder(holder, 4000)).toBe(text);
});
