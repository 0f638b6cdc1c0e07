import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lock, LockOptions } from '../../src/store/types.ts';

type Acquire = (name: string, options?: LockOptions) => Promise<Lock>;

/** Two that want the same locks. */
export interface LockFixture extends Disposable {
  readonly one: Acquire;
  readonly other: Acquire;
}

/** The contract of named locks, for all that give them. */
export function lockSuite(name: string, make: () => LockFixture): void {
  describe(`lock: ${name}`, () => {
    test('is free, then held, then free again; others of other names are not touched', async () => {
      using locks = make();
      const lock = await locks.one('a');
      expect(lock.name).toBe('a');
      await expect(locks.other('a', { timeoutMs: 10 })).rejects.toMatchObject({
        code: 'TSB_STORE',
        message: expect.stringContaining('Cannot lock "a"'),
      });
      (await locks.other('b', { timeoutMs: 0 })).release();
      lock.release();
      (await locks.other('a', { timeoutMs: 1000 })).release();
    });

    test('releasing twice does not release the next holder’s', async () => {
      using locks = make();
      const first = await locks.one('a');
      first.release();
      const second = await locks.other('a', { timeoutMs: 1000 });
      first.release();
      await first[Symbol.asyncDispose]();
      await expect(locks.one('a', { timeoutMs: 10 })).rejects.toMatchObject({ code: 'TSB_STORE' });
      second.release();
    });

    test('who waits is told once, and can be canceled without harm to who comes after', async () => {
      using locks = make();
      const held = await locks.one('a');
      let told = 0;
      const controller = new AbortController();
      const canceled = locks.other('a', { signal: controller.signal, onWait: () => told++ });
      const patient = locks.other('a', { timeoutMs: 10_000 });
      await delay(30);
      controller.abort(new Error('not any more'));
      await expect(canceled).rejects.toThrow('not any more');
      expect(told).toBe(1);
      held.release();
      (await patient).release();
      await expect(locks.one('a', { signal: controller.signal })).rejects.toThrow('not any more');
    });

    test('any name is one lock of its own, and never a path', async () => {
      const names = fc.uniqueArray(
        fc.oneof(fc.constantFrom('..', '/', '../x', 'a/b', '', '=', 'A', 'a', '\0', 'ä', 'a'.repeat(300)), fc.string()),
        { minLength: 1, maxLength: 5, comparator: (a, b) => Buffer.from(a).equals(Buffer.from(b)) },
      );
      await fc.assert(
        fc.asyncProperty(names, async (all) => {
          using locks = make();
          const held: Lock[] = [];
          for (const one of all) held.push(await locks.one(one, { timeoutMs: 0 }));
          for (const one of all)
            await expect(locks.other(one, { timeoutMs: 0 })).rejects.toMatchObject({ code: 'TSB_STORE' });
          for (const lock of held) lock.release();
        }),
        { numRuns: 10 },
      );
    });

    test('never two at a time, and everybody’s turn comes', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), fc.nat(2)), { maxLength: 8 }), async (wishes) => {
          using locks = make();
          let [inside, turns] = [0, 0];
          const turn = async ([first, ms]: readonly [boolean, number]): Promise<void> => {
            await using _lock = await (first ? locks.one : locks.other)('a', { timeoutMs: 60_000 });
            expect(++inside).toBe(1);
            await delay(ms);
            inside--;
            turns++;
          };
          await Promise.all(wishes.map(turn));
          expect(turns).toBe(wishes.length);
        }),
        { numRuns: 10 },
      );
    });
  });
}
