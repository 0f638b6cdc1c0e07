import type { Task } from '../../events/index.ts';
import { formatDuration, TsbuildError } from '../../util/index.ts';

/**
 * Runs a step for a limited time; then it is ended like one that is canceled, and what it made is thrown away.
 * @param limitMs milliseconds; undefined for no limit
 * @param command what the step runs, for the message
 * @throws TsbuildError `TSB_TIMEOUT`, or what the work throws
 */
export async function withinTime<T>(
  task: Task,
  limitMs: number | undefined,
  command: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (limitMs === undefined) return work(task.signal);
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), limitMs);
  try {
    return await work(AbortSignal.any([task.signal, controller.signal]));
  } catch (error) {
    if (!controller.signal.aborted || task.signal.aborted) throw error;
    throw new TsbuildError(
      'TSB_TIMEOUT',
      `process ${JSON.stringify(command)} was ended: it ran longer than ${formatDuration(limitMs)}`,
      {
        hint: 'set another limit with --step-timeout, or for this step with a comment above it: # tsbuild: timeout=20m',
      },
    );
  } finally {
    clearTimeout(timer);
  }
}
