import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { Locks } from '../../src/store/locks.ts';
import { openStore } from '../store/support.ts';
import { lockSuite } from './lock.ts';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) fs.rmSync(root, { recursive: true, force: true });
});

lockSuite('the locks of one process', () => {
  const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-lock-test-'));
  roots.push(dir);
  const locks = new Locks(dir);
  const acquire = locks.acquire.bind(locks);
  return { one: acquire, other: acquire, [Symbol.dispose]: () => undefined };
});

// Each has a queue of its own: between them only the kernel decides, as between processes.
lockSuite('the kernel’s locks, between two that know nothing of each other', () => {
  const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-lock-test-'));
  roots.push(dir);
  const [one, other] = [new Locks(dir), new Locks(dir)];
  return { one: one.acquire.bind(one), other: other.acquire.bind(other), [Symbol.dispose]: () => undefined };
});

lockSuite('two stores on one directory', () => {
  const first = openStore();
  const second = openStore(first.root);
  return {
    one: first.store.lock.bind(first.store),
    other: second.store.lock.bind(second.store),
    [Symbol.dispose]: () => {
      second[Symbol.dispose]();
      first[Symbol.dispose]();
    },
  };
});
