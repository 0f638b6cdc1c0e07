import { removeTrees as remove, TreeMeasurer, type TreeUsage } from '../sandbox/index.ts';
import type { HandlerContext } from './handler-context.ts';

/** This process's helper that measures. */
let measurer: TreeMeasurer | undefined;

/** Deletes trees with the helper, which does it by descriptors, by several processes, and does not block this one. */
export function removeTrees(
  { paths }: { readonly paths: readonly string[] },
  { config, signal }: HandlerContext,
): Promise<void> {
  return remove(config.helperPath, paths, signal);
}

/** Measures trees with the helper. */
export function usage(
  { paths }: { readonly paths: readonly string[] },
  { config, signal }: HandlerContext,
): Promise<readonly TreeUsage[]> {
  return (measurer ??= new TreeMeasurer({ helperPath: config.helperPath })).measure(paths, signal);
}
