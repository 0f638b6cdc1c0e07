import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { WorkerConfig } from '../../src/worker/index.ts';
import { ThreadPool } from '../../src/worker/thread-pool.ts';

const config = { entry: fileURLToPath(new URL('./echo-thread.ts', import.meta.url)) } as WorkerConfig;
const never = new AbortController().signal;

test('jobs wait for a thread, and each gets its own answer', async () => {
  const pool = new ThreadPool(2, config);
  const progress: unknown[] = [];
  const results = await Promise.all(
    Array.from({ length: 9 }, (_, index) => pool.run('echo', { index }, never, (data) => progress.push(data))),
  );
  expect(results).toEqual(Array.from({ length: 9 }, (_, index) => ({ index })));
  expect(progress).toHaveLength(9);
});

test('errors keep their code and hint, and the thread goes on', async () => {
  const pool = new ThreadPool(1, config);
  await expect(pool.run('fail', 0, never, () => undefined)).rejects.toMatchObject({
    code: 'TSB_ARCHIVE',
    message: 'Bad',
    hint: 'h',
  });
  expect(await pool.run('echo', 1, never, () => undefined)).toBe(1);
});

test('a busy thread sees that its job was canceled', async () => {
  const pool = new ThreadPool(1, config);
  const controller = new AbortController();
  const spinning = pool.run('spin', 0, controller.signal, () => setTimeout(() => controller.abort(), 50));
  expect(await spinning).toBe(true);
});

test('a thread that dies fails its job only', async () => {
  const pool = new ThreadPool(1, config);
  const died = pool.run('die', 0, never, () => undefined);
  const next = pool.run('echo', 2, never, () => undefined);
  await expect(died).rejects.toThrow(/ended unexpectedly/);
  expect(await next).toBe(2);
});

test.each(['leave', 'throw later'])(
  'a thread that ends while it has nothing to do (%s) is given no job, which would never end',
  async (how) => {
    const pool = new ThreadPool(1, config);
    const ended = new Promise<void>((resolve) => {
      process.once('worker', (thread) => thread.once('exit', () => resolve()));
    });
    expect(await pool.run(how, 1, never, () => undefined)).toBe(1);
    await ended;
    const all = await Promise.all([3, 4, 5].map((value) => pool.run('echo', value, never, () => undefined)));
    expect(all).toEqual([3, 4, 5]);
  },
);

test('a job that was canceled before it began sees that', async () => {
  const pool = new ThreadPool(1, config);
  expect(await pool.run('spin', 0, AbortSignal.abort(), () => undefined)).toBe(false);
});
