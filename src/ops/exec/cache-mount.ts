import type { Mount } from '../../llb/index.ts';
import type { MountSpec } from '../../sandbox/index.ts';
import type { Store } from '../../store/index.ts';
import { hexOf, sha256, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { Snapshots } from '../pieces.ts';

/** How many builds may hold private copies of one cache mount at a time. */
const MAX_PRIVATE = 1000;

/**
 * The persistent directory of a cache mount. `shared` is used by any number of steps at a time, `locked` by one, and `private` gives
 * each step at a time a directory of its own. The locks end with this process, however it ends.
 * @param base layers whose files a new directory starts with; mounts that start with other files are other mounts, so that one
 * for uid 1000 is not the one for root
 */
export async function cacheMount(
  snapshots: Snapshots,
  task: Task,
  held: AsyncDisposableStack,
  mount: Mount,
  base: readonly string[],
): Promise<MountSpec> {
  const { store, lease, layers } = snapshots;
  const options = mount.cache;
  if (!options) throw new TsbuildError('TSB_LLB', 'Cannot mount a cache without an id');
  // A new directory starts with these files, so with others it has to be another directory.
  const name = base.length === 0 ? options.id : `${options.id}#${hexOf(sha256(base.join(' '))).slice(0, 16)}`;
  const id = await claim(store, task, held, name, options.sharing);
  const lowers = await layers.directories(task, base);
  const { path: dir } = store.mounts.ensure(id, lease, options.id);
  // Two steps that share a new directory must not both fill it.
  await using _lock = await store.lock(`prepare-mount-${id}`, { signal: task.signal });
  const worker = await snapshots.worker();
  await worker.call('prepareCacheMount', { dir, lowers }, { signal: task.signal });
  // Measured when the step has ended: `tsbuild du` shows it, and nobody waits for anything.
  held.defer(async () => {
    const [usage] = await worker.call('usage', { paths: [dir] }, {}).catch(() => []);
    if (usage) store.mounts.setUsage(id, usage);
  });
  const subpath = mount.selector === '' || mount.selector === '/' ? {} : { subpath: mount.selector };
  return { type: 'bind', source: dir, ...subpath, target: mount.dest, readonly: mount.readonly };
}

/**
 * The id of a directory that this step may use now. It waits for `locked`; for `private` it takes the first that is
 * free.
 */
async function claim(
  store: Store,
  task: Task,
  held: AsyncDisposableStack,
  id: string,
  sharing: 'shared' | 'private' | 'locked',
): Promise<string> {
  if (sharing === 'shared') return id;
  if (sharing === 'locked') {
    held.use(await store.lock(`mount-${id}`, { signal: task.signal }));
    return id;
  }
  for (let copy = 0; copy < MAX_PRIVATE; copy++) {
    const name = copy === 0 ? id : `${id}#${copy}`;
    try {
      held.use(await store.lock(`mount-${name}`, { signal: task.signal, timeoutMs: 0 }));
      return name;
    } catch (error) {
      if (task.signal.aborted) throw error;
    }
  }
  throw new TsbuildError(
    'TSB_STORE',
    `Cannot use cache mount ${JSON.stringify(id)}: ${MAX_PRIVATE} builds are using private copies of it`,
  );
}
