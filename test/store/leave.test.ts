import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { check } from '../../src/store/index.ts';
import { projectRoot } from '../support/program.ts';
import { openStore, realBootId, tempRoot } from './support.ts';

/** A command that ends with its use of the store. @param tracer what it is run by @param bytes how long the fact is that it writes */
function use(root: string, name: string, bytes: number, tracer: readonly string[] = []): void {
  const script = `import('${projectRoot}/src/store/index.ts').then(({ Store }) => {
    const store = Store.open(${JSON.stringify(root)}, { now: Date.now, leavesIndex: true });
    store.leases.create().hold({ layers: ['${name}'] });
    store.facts.put('test', '${name}', 'x'.repeat(${bytes}));
    store.close();
    process.exit(0);
  });`;
  const [program, ...args] = [...tracer, process.execPath, '-e', script];
  execFileSync(program, args, { stdio: 'inherit' });
}

const logOf = (root: string): string => join(root, 'index.sqlite-wal');

test('a command that leaves the index waits for no disk, and others see what it wrote and nothing that it held', async () => {
  const root = tempRoot();
  use(root, 'first', 100);
  const calls = join(root, 'calls');
  use(root, 'second', 100, ['strace', '-f', '-qqq', '-o', calls, '-e', 'trace=fsync,fdatasync']);
  expect(fs.readFileSync(calls, 'utf8')).toBe('');
  fs.rmSync(calls);
  expect(fs.existsSync(logOf(root))).toBe(true);
  using opened = openStore(root, { bootId: realBootId, now: Date.now() });
  const { store } = opened;
  for (const name of ['first', 'second']) {
    expect(store.facts.get('test', name)?.value).toBe('x'.repeat(100));
    expect(store.leases.holds('layer', name)).toBe(false);
  }
  expect(store.sessions.hasDead()).toBe(false);
  expect((await check(store)).problems).toEqual([]);
  expect(opened.warnings).toEqual([]);
});

test('it puts a log in its place that would take the next command long', () => {
  const root = tempRoot();
  use(root, 'large', 1_000_000);
  expect(fs.existsSync(logOf(root))).toBe(false);
  using opened = openStore(root);
  expect(opened.store.facts.get('test', 'large')?.value).toHaveLength(1_000_000);
});
