import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SharedWork } from '../../src/util/index.ts';

const running = (): AbortSignal => new AbortController().signal;

/** Work that ends when it is told to, or with its signal. */
function gated(signal: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  signal.addEventListener('abort', () => reject(signal.reason));
  return { start: () => promise, resolve, reject };
}

describe('work that several tasks want', () => {
  test('is done once at a time, and again for who comes when it is over', async () => {
    const shared = new SharedWork<string, number>();
    let times = 0;
    const start = async (): Promise<number> => Promise.resolve(++times);
    expect(await Promise.all([1, 2, 3].map(() => shared.run('x', running(), start)))).toEqual([1, 1, 1]);
    expect(await shared.run('x', running(), start)).toBe(2);
    expect(await Promise.all(['y', 'z'].map((key) => shared.run(key, running(), start)))).toEqual([3, 4]);
  });

  test('is remembered where that is asked for, but no failure', async () => {
    const shared = new SharedWork<string, number>({ keep: true });
    await expect(shared.run('x', running(), () => Promise.reject(new Error('first')))).rejects.toThrow('first');
    expect(await shared.run('x', running(), () => Promise.resolve(1))).toBe(1);
    expect(await shared.run('x', running(), () => Promise.resolve(2))).toBe(1);
  });

  test('fails for all who wait when it fails', async () => {
    const shared = new SharedWork<string, string>();
    const work = gated(running());
    const all = [1, 2].map(() => shared.run('x', running(), work.start));
    work.reject(new Error('broken'));
    for (const one of await Promise.allSettled(all)) expect(one).toMatchObject({ reason: { message: 'broken' } });
  });

  test('is not canceled for who still wants it', async () => {
    const shared = new SharedWork<string, string>();
    const first = new AbortController();
    const work = gated(first.signal);
    const canceled = shared.run('x', first.signal, work.start);
    let starts = 0;
    const others = [1, 2, 3].map(() =>
      shared.run('x', running(), async () => {
        starts++;
        return Promise.resolve('done');
      }),
    );
    first.abort(new Error('not needed'));
    await expect(canceled).rejects.toThrow('not needed');
    expect(await Promise.all(others)).toEqual(['done', 'done', 'done']);
    expect(starts).toBe(1);
  });

  test('whoever is canceled and when: the others get the outcome, and one at a time works', async () => {
    const task = fc.record({ at: fc.nat(6), cancelAt: fc.option(fc.nat(12)), takes: fc.nat(4) });
    await fc.assert(
      fc.asyncProperty(fc.array(task, { minLength: 1, maxLength: 6 }), fc.boolean(), async (tasks, keep) => {
        const shared = new SharedWork<string, string>({ keep });
        let working = 0;
        let most = 0;
        const turn = async (count: number): Promise<void> => {
          for (let left = count; left > 0; left--) await Promise.resolve();
        };
        const outcomes = tasks.map(async ({ at, cancelAt, takes }) => {
          const controller = new AbortController();
          if (cancelAt !== null) void turn(cancelAt).then(() => controller.abort(new Error('canceled')));
          await turn(at);
          const { signal } = controller;
          const outcome = shared.run('x', signal, async () => {
            most = Math.max(most, ++working);
            try {
              await turn(takes);
              signal.throwIfAborted();
              return 'done';
            } finally {
              working--;
            }
          });
          return outcome.catch((error: Error) => (signal.aborted ? error.message : `for nothing: ${error.message}`));
        });
        const texts = await Promise.all(outcomes);
        expect(most).toBeLessThanOrEqual(1);
        for (const [index, text] of texts.entries())
          expect(['done', ...(tasks[index]?.cancelAt === null ? [] : ['canceled'])]).toContain(text);
      }),
      { numRuns: 300 },
    );
  });
});
