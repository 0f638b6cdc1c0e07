import { collectUnderLock, type GarbageReport } from '../../src/store/garbage.ts';
import type { RemoveTrees, Store } from '../../src/store/index.ts';

/** A garbage collection by itself. */
export async function collectGarbage(store: Store, remove: RemoveTrees): Promise<GarbageReport> {
  await using _lock = await store.lock('gc');
  return await collectUnderLock(store, remove);
}
