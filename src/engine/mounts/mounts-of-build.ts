import type { Task } from '../../events/index.ts';
import { readPolicy, type StepCacheExport } from '../../remote-cache/index.ts';
import { exportToEach } from '../caches/export-to-each.ts';
import { exportMounts, mountDestination } from './mount-exports.ts';
import { MountRestores, type MountSource } from './mount-restores.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { openPlace } from '../caches/step-caches.ts';

/**
 * What brings the cache mounts of a build; undefined when none of its caches has any.
 * @param task ends when the build does
 * @throws TsbuildError `TSB_USAGE` for keys that cannot be used
 */
export function openMountRestores(
  session: Session,
  task: Task,
  { cacheFrom, cacheTo }: Pick<BuildRequest, 'cacheFrom' | 'cacheTo'>,
): MountRestores | undefined {
  const sources = cacheFrom.flatMap((spec): MountSource[] => {
    if (spec.type !== 'steps' || spec.mounts === undefined) return [];
    const place = openPlace(session, spec.place, spec.scope);
    return [{ place, policy: readPolicy(spec.policy), mounts: spec.mounts }];
  });
  const goes = cacheTo.some((spec) => spec.type === 'steps' && spec.mounts !== undefined);
  return sources.length > 0 || goes ? new MountRestores(session, task, sources) : undefined;
}

/**
 * Sends the mounts that steps of the build have used to all places that take any. One that cannot be sent is a warning, unless the user
 * wants to know.
 * @throws TsbuildError `TSB_EXPORT` of the first with `ignore-error=false` that failed, once all were tried; `TSB_CANCELED`
 */
export async function sendUsedMounts(
  session: Session,
  task: Task,
  exports: readonly StepCacheExport[],
  restores: MountRestores,
): Promise<void> {
  if (restores.used.size === 0) return;
  await exportToEach(session, task, exports, (spec) => {
    const destination = mountDestination(session, spec, restores);
    return (
      destination && {
        what: `cache mounts to ${destination.target.place.id}`,
        run: (status, inner) => exportMounts(session, inner, destination, restores.used, status),
      }
    );
  });
}
