import type { Store } from '../../store/index.ts';
import type { CompiledGraphs } from '../compiled.ts';

/**
 * Empties the cache mounts of the steps that are to run again whatever is cached (`--no-cache`), as BuildKit does: once, before the
 * build, so that steps of the build still share them.
 */
export function retireCacheMounts(store: Store, compiled: CompiledGraphs): void {
  const ids = new Set<string>();
  for (const { graph } of compiled.platforms) {
    for (const { ignoreCache, op } of graph.vertices) {
      if (!ignoreCache || op.body?.kind !== 'exec') continue;
      for (const { cache } of op.body.mounts) if (cache) ids.add(cache.id);
    }
  }
  for (const id of ids) store.mounts.retire(id);
}
