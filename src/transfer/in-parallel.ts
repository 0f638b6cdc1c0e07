import pLimit from 'p-limit';
import { type Task, together } from '../events/index.ts';

/** Blobs on their way at a time. */
const TRANSFERS = 6;

/** Does something for each item, a few at a time. The first that fails ends the others, and is what is thrown. */
export async function inParallel<T>(
  task: Task,
  items: readonly T[],
  work: (task: Task, item: T) => Promise<void>,
): Promise<void> {
  const limit = pLimit(TRANSFERS);
  await together(task, items, (own, item) =>
    limit(async () => {
      own.signal.throwIfAborted();
      await work(own, item);
    }),
  );
}
