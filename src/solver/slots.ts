import pLimit from 'p-limit';
import type { Scope } from './scope.ts';

/** Runs at most so many things at a time. */
export type Slots = <T>(scope: Scope, run: () => Promise<T>) => Promise<T>;

/**
 * Slots for executing ops. A waiter that is aborted leaves at once; what runs is told through its own signal, and waited for.
 * @param concurrency at least 1
 */
export function createSlots(concurrency: number): Slots {
  const limit = pLimit(Math.max(1, Math.floor(concurrency)));
  return async <T>(scope: Scope, run: () => Promise<T>): Promise<T> => {
    const outcome = Promise.withResolvers<T>();
    const off = scope.onAbort(() => {
      outcome.reject(scope.reason);
    });
    const hold = async (): Promise<void> => {
      off();
      // It was aborted in the queue, and its waiter is gone.
      if (scope.aborted) return;
      try {
        outcome.resolve(await run());
      } catch (error) {
        outcome.reject(error);
        // The failure reaches all who are concerned before the next in the queue starts: it may be canceled by it.
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    if (scope.aborted) throw scope.reason;
    void limit(hold);
    return outcome.promise;
  };
}
