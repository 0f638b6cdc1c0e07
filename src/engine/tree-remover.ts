import { findHelper, LoneRemover } from '../sandbox/index.ts';
import type { RemoveTrees } from '../store/index.ts';
import { ownPlan } from './own-plan.ts';
import type { SessionOptions } from './session.ts';

/**
 * Deletes trees for commands that do nothing else in the namespace: by a helper in a namespace of its own, which starts in a few ms, where
 * a worker takes 100 ms of a processor.
 */
export function treeRemover(options: Pick<SessionOptions, 'helper' | 'signal' | 'isolation' | 'root'>): RemoveTrees {
  let remover: LoneRemover | undefined;
  return async (paths) => {
    if (paths.length === 0) return;
    remover ??= new LoneRemover({
      helperPath: findHelper(options.helper),
      plan: await ownPlan(options),
      signal: options.signal,
    });
    await remover.remove(paths);
  };
}
