import type { Task } from '../../events/index.ts';
import { type MountName, readPolicy, type StepCacheExport, type StepCacheImport } from '../../remote-cache/index.ts';
import { idOfMount, isPlainMount } from '../../store/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { describeSent, exportMount, mountDestination } from './mount-exports.ts';
import { MountRestores, type MountSource } from './mount-restores.ts';
import type { Session } from '../session.ts';
import { openPlace } from '../caches/step-caches.ts';

/**
 * Sends a cache mount of the store.
 * @returns what was sent, in a few words
 * @throws TsbuildError `TSB_USAGE` for one that is not known to other machines; as `exportMount`
 */
export async function exportStoredMount(
  session: Session,
  task: Task,
  spec: StepCacheExport,
  id: string,
): Promise<string> {
  const destination = mountDestination(session, spec);
  if (destination === undefined) throw new TsbuildError('TSB_INTERNAL', 'No mounts are to be exported');
  const name = nameElsewhere(session, id);
  if (name === undefined) return 'it is only known on this machine; a build with mounts=true that uses it sends it';
  session.lease.hold({ mounts: [id] });
  if (session.store.mounts.hasOtherOwners(id))
    return 'its files have the owners of another isolation; the --isolation or TSBUILD_ISOLATION that made it sends it';
  const { sent, packed } = await exportMount(session, task, destination, { id, name });
  return describeSent(sent, packed);
}

/** What a mount is known by elsewhere; undefined for a copy, and for one that starts with files and never was elsewhere. */
function nameElsewhere({ store }: Session, id: string): MountName | undefined {
  const text = store.mounts.elsewhere(id);
  if (text !== undefined) return JSON.parse(text) as MountName;
  return isPlainMount(id) ? { id: idOfMount(id) } : undefined;
}

/** What came of bringing a mount. */
export type ImportOutcome = 'restored' | 'occupied' | 'in-use' | 'absent';

/**
 * Brings a cache mount into the store, from the first source that has it. Those that start with files (`uid=`, `from=`) only builds can bring.
 * @param id as Dockerfiles have it
 * @param replaces also where the store has files in it
 */
export async function importMount(
  session: Session,
  task: Task,
  specs: readonly StepCacheImport[],
  id: string,
  replaces: boolean,
): Promise<ImportOutcome> {
  const sources = specs.flatMap(({ place, scope, policy, mounts }): MountSource[] =>
    mounts ? [{ place: openPlace(session, place, scope), policy: readPolicy(policy), mounts }] : [],
  );
  const restores = new MountRestores(session, task, sources);
  try {
    // Without a namespace (BUILDKIT_CACHE_MOUNT_NS), which is how nearly all are.
    const name = { id: `/${id}` };
    return await restores.bringNow(task, name, replaces);
  } catch (error) {
    if (isTsbuildError(error, 'TSB_NOT_FOUND')) return 'absent';
    throw error;
  } finally {
    await restores.end();
  }
}
