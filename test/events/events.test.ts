import { describe, expect, test } from 'vitest';
import { allCachedText, statusOf, type Task, together, withinTime } from '../../src/events/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

describe('work that is done all at a time', () => {
  test('is over when all of it is', async () => {
    const begun: string[] = [];
    const gate = Promise.withResolvers<void>();
    let isOver = false;
    const work = together(testTask(), ['a', 'b', 'c'], async (_task, item) => {
      begun.push(item);
      await gate.promise;
    }).then(() => {
      isOver = true;
    });
    await Promise.resolve();
    expect([begun, isOver]).toEqual([['a', 'b', 'c'], false]);
    gate.resolve();
    await work;
    expect(isOver).toBe(true);
  });

  test('of nothing is over at once', async () => {
    await together(testTask(), [], () => Promise.reject(new Error('never')));
  });

  test('fails with the first failure, once the others have ended', async () => {
    const ended: unknown[] = [];
    const failure = new Error('first');
    const waiting = (task: Task): Promise<void> =>
      new Promise((_resolve, reject) => {
        task.signal.addEventListener('abort', () => {
          // Ending may take a while.
          setTimeout(() => {
            ended.push(task.signal.reason);
            reject(new Error('second'));
          }, 5);
        });
      });
    const work = together(testTask(), ['wait', 'fail', 'wait'], (task, item) =>
      item === 'fail' ? Promise.reject(failure) : waiting(task),
    );
    await expect(work).rejects.toBe(failure);
    expect(ended).toEqual([failure, failure]);
  });

  test('is canceled with the task, whose events and vertex it has', async () => {
    const outer = { ...testTask(), vertex: sha256('vertex') };
    const seen: Task[] = [];
    const work = together(outer, [1, 2], (task) => {
      seen.push(task);
      return new Promise((_resolve, reject) => {
        task.signal.addEventListener('abort', () => reject(task.signal.reason as Error));
      });
    });
    outer.controller.abort(new Error('Ctrl-C'));
    await expect(work).rejects.toThrow('Ctrl-C');
    for (const { events, vertex } of seen) expect([events, vertex]).toEqual([outer.events, outer.vertex]);
    // It is not the work that cancels what it is a part of.
    const other = testTask();
    await expect(together(other, [1], () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(other.signal.aborted).toBe(false);
  });
});

describe('work for which there is a limited time', () => {
  const late = (limitMs: number): Error => new Error(`over ${limitMs} ms`);
  /** Ends when it is canceled, with words of its own. */
  const untilCanceled = (task: Task): Promise<never> =>
    new Promise((_resolve, reject) => {
      const end = (): void => reject(new Error('I was canceled'));
      if (task.signal.aborted) end();
      else task.signal.addEventListener('abort', end);
    });

  test('has its result when it is done before, and its own failure', async () => {
    const task = testTask();
    expect(await withinTime(task, 60_000, late, () => Promise.resolve(7))).toBe(7);
    await expect(withinTime(task, 60_000, late, () => Promise.reject(new Error('own')))).rejects.toThrow('own');
  });

  test('without a limit is given the task itself', async () => {
    const task = testTask();
    expect(await withinTime(task, undefined, late, (given) => Promise.resolve(given))).toBe(task);
  });

  test('fails of its limit, whatever it says itself, and is canceled with that', async () => {
    const task = testTask();
    let reason: unknown;
    const work = withinTime(task, 1, late, (given) => {
      given.signal.addEventListener('abort', () => (reason = given.signal.reason));
      return untilCanceled(given);
    });
    await expect(work).rejects.toThrow('over 1 ms');
    expect(reason).toEqual(new Error('over 1 ms'));
    expect(task.signal.aborted).toBe(false);
  });

  test('that was canceled from outside fails in its own words', async () => {
    const task = testTask();
    const work = withinTime(task, 60_000, late, untilCanceled);
    task.controller.abort(new Error('Ctrl-C'));
    await expect(work).rejects.toThrow('I was canceled');
  });

  test('that ends although it is over has its result', async () => {
    const done = Promise.withResolvers<string>();
    const work = withinTime(testTask(), 1, late, (given) => {
      given.signal.addEventListener('abort', () => done.resolve('just made it'));
      return done.promise;
    });
    expect(await work).toBe('just made it');
  });

  test('leaves no timer behind', async () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    await withinTime(testTask(), 60_000, late, () => Promise.resolve());
    await withinTime(testTask(), 60_000, late, () => Promise.reject(new Error('x'))).catch(() => undefined);
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout')).toHaveLength(before);
  });
});

test('a build of which nothing ran says how many steps it had', () => {
  expect(allCachedText(12)).toBe('all 12 steps came from the cache: nothing that they read has changed\n');
  expect(allCachedText(1)).toBe('the one step came from the cache: nothing that it reads has changed\n');
});

test('progress of a part is told in bytes, with what is known of it', () => {
  const task = testTask();
  const vertex = sha256('vertex');
  let now = 0;
  const report = statusOf(task, vertex, () => ++now);
  report('layer', 5);
  report('layer', 6, 10);
  report('layer', 10, 10, true);
  const common = { type: 'status', vertex, id: 'layer', unit: 'bytes' };
  expect(task.seen).toEqual([
    { ...common, current: 5, at: 1 },
    { ...common, current: 6, total: 10, at: 2 },
    { ...common, current: 10, total: 10, at: 3, completed: true },
  ]);
});
