import type { Task } from './task.ts';

/**
 * Does something for a limited time; then it is ended like what is canceled.
 * @param limitMs milliseconds; undefined for no limit
 * @param late what it fails of then, by the limit
 * @throws what `late` makes, or what the work throws
 */
export async function withinTime<T>(
  task: Task,
  limitMs: number | undefined,
  late: (limitMs: number) => Error,
  work: (task: Task) => Promise<T>,
): Promise<T> {
  if (limitMs === undefined) return work(task);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(late(limitMs)), limitMs);
  try {
    return await work({ ...task, signal: AbortSignal.any([task.signal, limit.signal]) });
  } catch (error) {
    // Whoever noticed may have words of its own for having been canceled.
    throw limit.signal.aborted && !task.signal.aborted ? limit.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}
