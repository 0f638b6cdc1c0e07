import pLimit from 'p-limit';
import {
  currentUser,
  findHelper,
  readPlanInputs,
  removeAlone,
  type RemoveAloneOptions,
  requirePlan,
} from '../sandbox/index.ts';
import type { RemoveTrees } from '../store/index.ts';
import type { SessionOptions } from './session.ts';

/** Helpers at a time, however few processors there are: they wait for the disk. */
const MAX_HELPERS = 8;
/** Fewer trees than this are deleted before another helper has started. */
const TREES_FOR_ANOTHER_HELPER = 256;

/**
 * Deletes trees for commands that do nothing else in the namespace: by helpers in namespaces of their own, which start in a few ms, where
 * a worker takes 100 ms of a processor. Many trees are shared out among several: a file system deletes in different directories at the
 * same time, and mostly waits for its journal.
 */
export function treeRemover({ helper, signal }: Pick<SessionOptions, 'helper' | 'signal'>): RemoveTrees {
  const limit = pLimit(MAX_HELPERS);
  let found: RemoveAloneOptions | undefined;
  return async (paths) => {
    if (paths.length === 0) return;
    found ??= { helperPath: findHelper(helper), plan: requirePlan(readPlanInputs(currentUser())), signal };
    const place = found;
    const size = Math.max(TREES_FOR_ANOTHER_HELPER, Math.ceil(paths.length / MAX_HELPERS));
    const shares = Array.from({ length: Math.ceil(paths.length / size) }, (_, index) =>
      paths.slice(index * size, (index + 1) * size),
    );
    const done = await Promise.allSettled(shares.map((share) => limit(() => removeAlone(place, share))));
    // Only now that none runs any more: who is told of a failure may try again at once.
    for (const share of done) if (share.status === 'rejected') throw share.reason;
  };
}
