import type { CacheOptions, Mount } from '../../llb/index.ts';
import type { MountSpec } from '../../sandbox/index.ts';
import { copyOfMount, mountId } from '../../store/index.ts';
import { type Digest, hexOf, isTsbuildError, sha256, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { Snapshots } from '../pieces.ts';
import { lockShown } from '../lock-shown.ts';
import type { MountTravel } from './mount-travel.ts';

/** How many builds may hold private copies of one cache mount at a time. */
const MAX_PRIVATE = 1000;

/** Of two mounts of one directory in one step, the stricter counts. */
const STRICTNESS: readonly CacheOptions['sharing'][] = ['shared', 'private', 'locked'];

/** @see MountTravel.arrive */
export type Arrive = (task: Task, mount: Mount, id: string) => Promise<void>;

/** Waits for what comes from other machines for the mounts of a step. */
export function arrivals(travel: MountTravel | undefined, vertex: Digest): Arrive {
  return async (task, mount, id) => travel?.arrive(task, vertex, mount, id);
}

/**
 * The persistent directories of a step's cache mounts. `shared` is used by any number of steps at a time, `locked` by one, and
 * `private` gives each step at a time a directory of its own. The locks end with this process, however it ends.
 */
export class CacheMounts {
  readonly #snapshots: Snapshots;
  readonly #held: AsyncDisposableStack;
  /** Ids of the directories that the step has, by the names of mounts. */
  readonly #ids: ReadonlyMap<string, string>;

  private constructor(snapshots: Snapshots, held: AsyncDisposableStack, ids: ReadonlyMap<string, string>) {
    this.#snapshots = snapshots;
    this.#held = held;
    this.#ids = ids;
  }

  /**
   * Takes all that the step mounts before any is prepared: each directory once, or the step would wait for itself, and in the order of
   * their names, or two steps could wait for each other.
   * @param baseOf layers whose files a new directory starts with
   * @param stays for a container, which ends when somebody says so
   */
  static async claim(
    snapshots: Snapshots,
    task: Task,
    held: AsyncDisposableStack,
    mounts: readonly Mount[],
    baseOf: (mount: Mount) => readonly string[],
    stays: boolean,
  ): Promise<CacheMounts> {
    const wanted = new Map<string, CacheOptions['sharing']>();
    for (const mount of mounts) {
      if (mount.type !== 'cache') continue;
      const name = nameOf(mount, baseOf(mount));
      const sharing = mount.cache?.sharing ?? 'shared';
      const other = wanted.get(name) ?? 'shared';
      wanted.set(name, STRICTNESS.indexOf(other) > STRICTNESS.indexOf(sharing) ? other : sharing);
    }
    const ids = new Map<string, string>();
    for (const [name, sharing] of [...wanted].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      ids.set(name, await claimOne(snapshots, task, held, { id: name, sharing, stays }));
    return new CacheMounts(snapshots, held, ids);
  }

  /**
   * The mount of a directory that was claimed.
   * @param base see `claim`
   * @param arrive waits for what comes from another machine
   */
  async spec(task: Task, mount: Mount, base: readonly string[], arrive: Arrive): Promise<MountSpec> {
    const { store, lease, layers } = this.#snapshots;
    const name = nameOf(mount, base);
    const claimed = this.#ids.get(name) ?? name;
    // Copies of a private one are this machine's, as is one for other owners than those of its files.
    if (store.mounts.usable(claimed) === name) await arrive(task, mount, name);
    const lowers = await layers.directories(task, base);
    const { id, path: dir } = store.mounts.ensure(claimed, lease, mount.cache?.id);
    // Two steps that share a new directory must not both fill it.
    await using _lock = await store.lock(`prepare-mount-${id}`, { signal: task.signal });
    const worker = await this.#snapshots.worker();
    await worker.call('prepareCacheMount', { dir, lowers }, { signal: task.signal });
    // Measured when the step has ended: `tsbuild du` shows it, and nobody waits for anything.
    this.#held.defer(async () => {
      const [usage] = await worker.call('usage', { paths: [dir] }, {}).catch(() => []);
      if (usage) store.mounts.setUsage(id, usage);
    });
    const subpath = mount.selector === '' || mount.selector === '/' ? {} : { subpath: mount.selector };
    return { type: 'bind', source: dir, ...subpath, target: mount.dest, readonly: mount.readonly, movable: true };
  }
}

/** Mounts that start with other files are other mounts, so that one for uid 1000 is not the one for root. */
function nameOf({ cache }: Mount, base: readonly string[]): string {
  if (!cache) throw new TsbuildError('TSB_LLB', 'Cannot mount a cache without an id');
  return mountId(cache.id, base.length === 0 ? undefined : hexOf(sha256(base.join(' '))).slice(0, 16));
}

/** A directory that is wanted. */
interface Claim {
  readonly id: string;
  readonly sharing: CacheOptions['sharing'];
  readonly stays: boolean;
}

/**
 * The id of a directory that this step may use now. It waits for `locked`, and for `shared` where the directory can be in one place only; for
 * `private` it takes the first that is free.
 */
async function claimOne(
  { store, movedMounts }: Snapshots,
  task: Task,
  held: AsyncDisposableStack,
  { id, sharing, stays }: Claim,
): Promise<string> {
  const moved = sharing === 'private' ? undefined : await movedMounts?.();
  if (moved !== undefined) {
    const signal = AbortSignal.any([task.signal, moved.taken(id)]);
    held.use(await lockShown(store, { ...task, signal }, `mount-${id}`));
    if (stays) held.use(moved.take(id));
    return id;
  }
  if (sharing === 'shared') return id;
  if (sharing === 'locked') {
    held.use(await lockShown(store, task, `mount-${id}`));
    return id;
  }
  for (let copy = 0; copy < MAX_PRIVATE; copy++) {
    const name = copy === 0 ? id : copyOfMount(id, copy);
    try {
      held.use(await store.lock(`mount-${name}`, { signal: task.signal, timeoutMs: 0 }));
      return name;
    } catch (error) {
      // Anything else than "somebody has it" is true of every copy.
      if (task.signal.aborted || !isTsbuildError(error, 'TSB_STORE')) throw error;
    }
  }
  throw new TsbuildError(
    'TSB_STORE',
    `Cannot use cache mount ${JSON.stringify(id)}: ${MAX_PRIVATE} builds are using private copies of it`,
  );
}
