import { measureTrees, runTreeTool, type TreeUsage } from '../sandbox/index.ts';
import type { HandlerContext } from './handler-context.ts';

/** Deletes trees with the helper, which does it by descriptors, by several processes, and does not block this one. */
export async function removeTrees(
  { paths }: { readonly paths: readonly string[] },
  { config, signal }: HandlerContext,
): Promise<void> {
  if (paths.length > 0) await runTreeTool(config.helperPath, ['remove'], paths, signal, 'delete');
}

/** Measures trees with the helper. */
export function usage(
  { paths }: { readonly paths: readonly string[] },
  { config, signal }: HandlerContext,
): Promise<readonly TreeUsage[]> {
  return measureTrees({ helperPath: config.helperPath, signal }, paths);
}
