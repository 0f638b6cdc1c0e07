import { currentUser, findHelper, LoneRemover, readPlanInputs, requirePlan } from '../sandbox/index.ts';
import type { RemoveTrees } from '../store/index.ts';
import type { SessionOptions } from './session.ts';

/**
 * Deletes trees for commands that do nothing else in the namespace: by a helper in a namespace of its own, which starts in a few ms, where
 * a worker takes 100 ms of a processor.
 */
export function treeRemover({ helper, signal }: Pick<SessionOptions, 'helper' | 'signal'>): RemoveTrees {
  let remover: LoneRemover | undefined;
  return async (paths) => {
    if (paths.length === 0) return;
    remover ??= new LoneRemover({
      helperPath: findHelper(helper),
      plan: requirePlan(readPlanInputs(currentUser())),
      signal,
    });
    await remover.remove(paths);
  };
}
