import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Pace } from '../../../src/remote-cache/steps/pace.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pace with work that says when it was begun, in ms. */
function paced(): {
  readonly pace: Pace;
  readonly begun: [string, number][];
  readonly add: (name: string) => Promise<void>;
} {
  const pace = new Pace();
  const begun: [string, number][] = [];
  const start = Date.now();
  return {
    pace,
    begun,
    add: (name) =>
      pace.run(async () => {
        begun.push([name, Date.now() - start]);
        await Promise.resolve();
      }),
  };
}

describe('what has time goes on beside a build', () => {
  test('once that leaves room for it', async () => {
    const { begun, add } = paced();
    void add('slow');
    await vi.advanceTimersByTimeAsync(1000);
    for (const name of ['a', 'b', 'c']) {
      void add(name);
      await vi.advanceTimersByTimeAsync(100);
    }
    await vi.advanceTimersByTimeAsync(1000);
    // None of those that follow each other fast goes before the last has come.
    expect(begun).toEqual([
      ['slow', 250],
      ['a', 1450],
      ['b', 1450],
      ['c', 1450],
    ]);
  });

  test('not later than two seconds on, however fast a build is', async () => {
    const { begun, add } = paced();
    for (let at = 0; at < 50; at++) {
      void add(String(at));
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(begun.slice(0, 3)).toEqual([
      ['0', 2000],
      ['1', 2100],
      ['2', 2200],
    ]);
  });

  test('at once when there is nothing else to do', async () => {
    const { pace, begun, add } = paced();
    const first = add('a');
    await vi.advanceTimersByTimeAsync(100);
    pace.hurry();
    await first;
    await add('b');
    expect(begun).toEqual([
      ['a', 100],
      ['b', 100],
    ]);
    // Nothing is left that would keep a program from its end.
    expect(vi.getTimerCount()).toBe(0);
  });

  test('with few layers on their way, so that the image is not kept waiting', async () => {
    const pace = new Pace();
    const gate = Promise.withResolvers<void>();
    let moving = 0;
    const move = async (): Promise<void> => {
      moving++;
      await gate.promise;
    };
    const all = Array.from({ length: 4 }, () =>
      pace.run(() => Promise.all(Array.from({ length: 5 }, () => pace.transfer(move)))),
    );
    await vi.advanceTimersByTimeAsync(300);
    expect(moving).toBe(2);
    pace.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(moving).toBe(16);
    gate.resolve();
    await Promise.all(all);
    expect(moving).toBe(20);
  });

  test('few at a time, and more when there is nothing else to do', async () => {
    const pace = new Pace();
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const all = Array.from({ length: 30 }, () =>
      pace.run(async () => {
        running++;
        await gate.promise;
      }),
    );
    await vi.advanceTimersByTimeAsync(300);
    expect(running).toBe(4);
    pace.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(running).toBe(12);
    gate.resolve();
    await Promise.all(all);
    expect(running).toBe(30);
  });
});
