import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ended, openStore, printed, runUser, startUser, tempRoot } from './support.ts';

const kinds = ['locks', 'turns'] as const;

describe.each(kinds)('%s in one process', (kind) => {
  test('go to waiters in order', async () => {
    using opened = openStore();
    const order: number[] = [];
    await Promise.all(
      [0, 1, 2, 3, 4].map(async (number) => {
        await using _lock = await opened.store[kind].acquire('x');
        order.push(number);
        await delay(1);
        order.push(number);
      }),
    );
    expect(order).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  });

  test('keep out another Store on the same directory', async () => {
    const root = tempRoot();
    using first = openStore(root);
    using second = openStore(root);
    const lock = await first.store[kind].acquire('x');
    await expect(second.store[kind].acquire('x', { timeoutMs: 20 })).rejects.toThrow(
      /Cannot lock "x".*held it for 20 ms/,
    );
    await expect(first.store[kind].acquire('x', { timeoutMs: 20 })).rejects.toThrow(/Cannot lock "x"/);
    lock.release();
    await using again = await second.store[kind].acquire('x', { timeoutMs: 20 });
    expect(again.name).toBe('x');
  });

  test('waiting ends with the signal and leaves the lock to others', async () => {
    const root = tempRoot();
    using first = openStore(root);
    using second = openStore(root);
    const lock = await first.store[kind].acquire('x');
    const reason = new Error('interrupted');
    const waits: number[] = [];
    for (const store of [first.store, second.store]) {
      const controller = new AbortController();
      const waiting = store[kind].acquire('x', { signal: controller.signal, onWait: () => waits.push(1) });
      setTimeout(() => controller.abort(reason), 10);
      await expect(waiting).rejects.toBe(reason);
    }
    expect(waits).toEqual([1, 1]);
    const next = second.store[kind].acquire('x');
    lock.release();
    (await next).release();
    (await first.store[kind].acquire('x', { timeoutMs: 0 })).release();
    await expect(first.store[kind].acquire('y', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('the files of locks', () => {
  test('different names do not wait for each other, whatever is in them', async () => {
    using opened = openStore();
    const names = ['a', 'A', '../a', 'a/b', 'ü', 'x'.repeat(300), '', '.', '..', '=a'];
    const locks = await Promise.all(names.map((name) => opened.store.lock(name, { timeoutMs: 0 })));
    expect(fs.readdirSync(join(opened.root, 'locks'))).toHaveLength(names.length);
    for (const lock of locks) lock.release();
    expect(fs.readdirSync(join(opened.root, 'locks'))).toEqual([]);
  });

  test.each([
    ['garbage', (path: string) => fs.writeFileSync(path, 'pid 1234\n'.repeat(200))],
    ['an empty file', (path: string) => fs.writeFileSync(path, '')],
    [
      'a file of the far future',
      (path: string) => {
        fs.writeFileSync(path, '');
        fs.utimesSync(path, 4e9, 4e9);
      },
    ],
  ])('%s in the place of a lock file does not count (REL-14, REL-15)', async (_name, make) => {
    using opened = openStore();
    make(join(opened.root, 'locks', 'x'));
    await using _lock = await opened.store.lock('x', { timeoutMs: 0 });
    await expect(opened.store.lock('x', { timeoutMs: 0 })).rejects.toThrow(/Cannot lock/);
  });
});

describe.each(kinds)('%s among processes', (kind) => {
  test('four processes and this one count without losing a step', async () => {
    using opened = openStore();
    const file = join(opened.root, '..', 'number');
    fs.writeFileSync(file, '0');
    const children = [1, 2, 3, 4].map(() => runUser(['count', opened.root, file, '15', kind]));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    for (let round = 0; round < 15; round++) {
      await using _lock = await opened.store[kind].acquire('counter');
      const number = Number(fs.readFileSync(file, 'utf8'));
      await delay(1);
      fs.writeFileSync(file, String(number + 1));
    }
    for (const result of await Promise.all(children)) expect(result).toMatchObject({ code: 0, stderr: '' });
    clearInterval(timer);
    expect(fs.readFileSync(file, 'utf8')).toBe('75');
    expect(ticks, 'waiting does not block the event loop').toBeGreaterThan(10);
  });

  test('a lock is free at once when its holder is killed, and kept while it is stopped (REL-13, REL-15)', async () => {
    using opened = openStore();
    const child = startUser(['hold', opened.root]);
    await printed(child, 'ready');
    await expect(opened.store[kind].acquire('held', { timeoutMs: 30 })).rejects.toThrow(/Cannot lock/);
    child.kill('SIGSTOP');
    await expect(opened.store[kind].acquire('held', { timeoutMs: 30 })).rejects.toThrow(/Cannot lock/);
    child.kill('SIGKILL');
    await ended(child);
    (await opened.store[kind].acquire('held', { timeoutMs: 0 })).release();
  });
});

test('a turn is kept when the index is given up for a new one, and leaves nothing behind', async () => {
  const root = tempRoot();
  using first = openStore(root);
  const turn = await first.store.turns.acquire('x');
  first.store.database().rebuild();
  using second = openStore(root);
  await expect(second.store.turns.acquire('x', { timeoutMs: 20 })).rejects.toThrow(/Cannot lock "x"/);
  turn.release();
  await using _again = await second.store.turns.acquire('x', { timeoutMs: 0 });
  expect([...first.store.leases.names('turn')]).toEqual(['x']);
  expect(fs.readdirSync(join(root, 'locks'))).toEqual([]);
});
