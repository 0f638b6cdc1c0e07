import { describe, expect, test } from 'vitest';
import { LazyStore } from '../../src/object-store/lazy-store.ts';
import { RequestWindow, type RequestWindowOptions } from '../../src/object-store/request-window.ts';
import { MemoryObjects } from '../fakes/memory-objects.ts';
import { bytesOf, contentOf } from '../suites/object-store.ts';
import { testTask } from '../support/task.ts';

/** A store in memory that notes when it is done. */
class Disposable extends MemoryObjects {
  flushed = 0;
  disposed = 0;
  flush(): Promise<void> {
    this.flushed++;
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
    return Promise.resolve();
  }
}

describe('a store that is opened by who asks first', () => {
  test('is opened once, whoever asks at the same time', async () => {
    const inner = new Disposable();
    let opened = 0;
    const store = new LazyStore('the store', 7, () => {
      opened++;
      return Promise.resolve(inner);
    });
    expect([store.id, store.requestBudget, opened]).toEqual(['the store', 7, 0]);
    await Promise.all(['a', 'b', 'c'].map((name) => store.put(testTask(), name, contentOf(Buffer.from(name)))));
    expect(opened).toBe(1);
    expect(await store.head(testTask(), 'a')).toEqual({ size: 1 });
    expect((await bytesOf(store, 'b'))?.toString()).toBe('b');
    await store.touch(testTask(), 'b');
    await store.delete(testTask(), 'c');
    const names: string[] = [];
    for await (const { name } of store.list(testTask(), '')) names.push(name);
    expect(names).toEqual(['a', 'b']);
    await store.flush(testTask());
    await store[Symbol.asyncDispose]();
    expect([inner.flushed, inner.disposed]).toEqual([1, 1]);
  });

  test('that nobody asked has nothing to write and nothing to end', async () => {
    const store = new LazyStore('x', undefined, () => Promise.reject(new Error('it was opened')));
    await store.flush(testTask());
    await store[Symbol.asyncDispose]();
    expect('requestBudget' in store && store.requestBudget !== undefined).toBe(false);
  });

  test('that cannot be opened says so to everybody who asks it for something', async () => {
    const store = new LazyStore('x', undefined, () => Promise.reject(new Error('no certificate')));
    await expect(store.head(testTask(), 'a')).rejects.toThrow('no certificate');
    await expect(bytesOf(store, 'a')).rejects.toThrow('no certificate');
  });
});

describe('a window of requests', () => {
  /** A clock that goes on by itself a little with each look, so that waiting comes to its end. */
  function windowOf(over: Partial<RequestWindowOptions> = {}): { window: RequestWindow; clock: { at: number } } {
    const clock = { at: 1_000_000 };
    const now = (): number => (clock.at += 1);
    return { window: new RequestWindow({ requests: 3, windowMs: 100, maxWaitMs: 1000, now, ...over }), clock };
  }

  test('lets as many through as may be, and holds back the next until the first counts no more', async () => {
    const { window, clock } = windowOf();
    const began = clock.at;
    for (let times = 0; times < 3; times++) await window.take(testTask(), 'Cannot ask');
    expect(clock.at - began).toBe(3);
    const fourth = window.take(testTask(), 'Cannot ask');
    clock.at += 100;
    await fourth;
    expect(clock.at - began).toBeGreaterThanOrEqual(100);
  });

  test('lets all through again when its time is over', async () => {
    const { window, clock } = windowOf();
    for (let round = 0; round < 4; round++) {
      const began = clock.at;
      for (let times = 0; times < 3; times++) await window.take(testTask(), 'Cannot ask');
      expect(clock.at - began).toBe(3);
      clock.at += 100;
    }
  });

  test('does not wait for too long: what was to be done fails, and what was sent is told', async () => {
    const { window } = windowOf({ windowMs: 300_000, maxWaitMs: 60_000 });
    for (let times = 0; times < 3; times++) await window.take(testTask(), 'Cannot ask');
    await expect(window.take(testTask(), 'Cannot write "x"')).rejects.toThrow(
      expect.objectContaining({
        code: 'TSB_REGISTRY',
        message: 'Cannot write "x": 3 requests were sent in 5 minutes, and no more are allowed for 300 s',
        hint: expect.stringContaining('mode=min') as string,
      }),
    );
  });

  test('is closed for as long as the service asks for', async () => {
    const { window, clock } = windowOf();
    window.block(500);
    window.block(10);
    const began = clock.at;
    const taken = window.take(testTask(), 'Cannot ask');
    clock.at += 495;
    await taken;
    expect(clock.at - began).toBeGreaterThanOrEqual(499);
    window.block(5000);
    await expect(window.take(testTask(), 'Cannot ask')).rejects.toThrow('no more are allowed for 5 s');
  });

  test('who waits goes with the task', async () => {
    const { window } = windowOf({ windowMs: 60_000, maxWaitMs: 60_000 });
    for (let times = 0; times < 3; times++) await window.take(testTask(), 'Cannot ask');
    const task = testTask();
    const waiting = window.take(task, 'Cannot ask');
    task.controller.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Canceled: Ctrl-C');
  });
});
