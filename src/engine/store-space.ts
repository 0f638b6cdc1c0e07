import type { Task } from '../events/index.ts';
import { isLimited, keepWithin, makeRoom, prune } from '../store/index.ts';
import { isTsbuildError, messageOf } from '../util/index.ts';
import type { Session } from './session.ts';
import { treeRemover } from './tree-remover.ts';

/** Bytes that a build that found the disk full is given, where nothing else is said. */
const ROOM = 512 << 20;

/**
 * Makes the store as small as its limits say. What this and other running commands hold stays. Never fails a build: what could not be removed
 * now is the next one's.
 */
export async function keepStoreWithin({ store, options }: Session, task: Task): Promise<void> {
  const { storeLimits: limits } = options;
  if (limits === undefined || !isLimited(limits)) return;
  try {
    await keepWithin(store, limits, { removeTrees: treeRemover(options), signal: task.signal });
  } catch (error) {
    task.signal.throwIfAborted();
    options.onWarning(`Cannot keep the store within its limits: ${messageOf(error)}`);
  }
}

/**
 * Frees space for a build that ran out of it, where the store has limits, so that somebody has said that what is old may go.
 * @returns whether anything went, and trying again makes sense
 */
export async function makeSpace({ store, options }: Session, task: Task, error: unknown): Promise<boolean> {
  const { storeLimits: limits } = options;
  if (limits === undefined || !isLimited(limits)) return false;
  // What a step says of a full disk is its own affair; that it was full was seen when it failed.
  if (!isForSpace(error)) return false;
  try {
    // Forgetting what is to go takes space itself.
    makeRoom(store.layout);
    const minFreeBytes = Math.max(limits.minFreeBytes ?? 0, ROOM);
    const { freedBytes } = await prune(store, {
      minFreeBytes,
      removeTrees: treeRemover(options),
      signal: task.signal,
    });
    return freedBytes > 0;
  } catch {
    // The failure that there was is what is told.
    return false;
  }
}

function isForSpace(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (isTsbuildError(at, 'TSB_NO_SPACE')) return true;
  return false;
}
