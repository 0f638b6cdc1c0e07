import type { Task } from '../events/index.ts';
import { throwIfCanceled } from '../registry/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { ObjectContent } from './types.ts';

/**
 * The bytes of a body in parts of one length, the last of which may be shorter. An empty body has one part. The parts are copies.
 * @throws TsbuildError `TSB_INTERNAL` when there are more or fewer bytes than were promised
 */
export async function* partsOf(
  task: Task,
  doing: string,
  body: ObjectContent,
  partBytes: number,
): AsyncGenerator<Buffer> {
  const wrong = (): TsbuildError =>
    new TsbuildError('TSB_INTERNAL', `${doing}: it does not have the ${body.size} bytes that it is said to have`);
  let rest = body.size;
  let part = Buffer.allocUnsafe(Math.min(partBytes, rest));
  let filled = 0;
  for await (const chunk of body.open()) {
    throwIfCanceled(task);
    for (let from = 0; from < chunk.length;) {
      const some = Math.min(chunk.length - from, part.length - filled);
      if (some === 0) throw wrong();
      part.set(chunk.subarray(from, from + some), filled);
      from += some;
      filled += some;
      if (filled < part.length) continue;
      rest -= filled;
      // The last one waits for the end: there may be bytes too many.
      if (rest === 0) continue;
      yield part;
      part = Buffer.allocUnsafe(Math.min(partBytes, rest));
      filled = 0;
    }
  }
  if (rest !== 0) throw wrong();
  yield part;
}

/**
 * Works on what comes, so many at a time. The first that fails ends the others, and is thrown once all have ended.
 * @param work gets a task that is canceled then
 */
export async function eachOf<T>(
  task: Task,
  items: AsyncIterable<T>,
  atOnce: number,
  work: (task: Task, item: T, index: number) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const own: Task = { ...task, signal: AbortSignal.any([task.signal, abort.signal]) };
  const active = new Set<Promise<void>>();
  let index = 0;
  try {
    for await (const item of items) {
      const one = work(own, item, index++).finally(() => active.delete(one));
      // Somebody waits for it later; until then it is not unheard of.
      one.catch((error: unknown) => abort.abort(error));
      active.add(one);
      if (active.size >= atOnce) await Promise.race(active);
      if (abort.signal.aborted) break;
    }
    await Promise.all(active);
    if (abort.signal.aborted) throw abort.signal.reason;
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(active);
    throw abort.signal.reason;
  }
}
