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
  const open = async (): Promise<LoneRemover> =>
    (remover ??= new LoneRemover({
      helperPath: findHelper(options.helper),
      plan: await ownPlan(options),
      signal: options.signal,
    }));
  const remove = async (paths: readonly string[]): Promise<void> => {
    if (paths.length > 0) await (await open()).remove(paths);
  };
  return Object.assign(remove, { prepare: async () => (await open()).start() });
}
