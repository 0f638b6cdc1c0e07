import type { Task } from './task.ts';

/**
 * Does something for each item, all at a time. The first that fails ends the others, and is what is thrown once all have ended.
 * @param work gets a task that is canceled then
 */
export async function together<T>(
  task: Task,
  items: readonly T[],
  work: (task: Task, item: T) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const own: Task = { ...task, signal: AbortSignal.any([task.signal, abort.signal]) };
  const all = items.map((item) => work(own, item));
  try {
    await Promise.all(all);
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(all);
    throw error;
  }
}
