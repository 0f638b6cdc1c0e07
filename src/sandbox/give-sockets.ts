import { chmodSync } from 'node:fs';
import { AT_FDCWD, fchownat } from '../sys/index.ts';
import { fromErrno, TsbuildError } from '../util/index.ts';
import type { MountSpec, NamespacePlan } from './types.ts';

/**
 * Gives sockets that a step mounts their owners and modes, from inside namespace A, before the step starts.
 * @throws TsbuildError `TSB_SANDBOX` when this machine has no such owner
 */
export function giveSockets(
  mounts: readonly MountSpec[],
  { idShift, idCount }: Pick<NamespacePlan, 'idShift' | 'idCount'>,
): void {
  for (const mount of mounts) {
    if (mount.type !== 'socket') continue;
    const { source, target, mode, uid, gid } = mount;
    const doing = `Cannot give the socket at ${JSON.stringify(target)} to ${uid}:${gid}`;
    if (uid >= idCount || gid >= idCount)
      throw new TsbuildError('TSB_SANDBOX', `${doing}: your range of subordinate ids has only ${idCount}`);
    try {
      chmodSync(source, mode);
      fchownat(AT_FDCWD, source, idShift + uid, idShift + gid);
    } catch (error) {
      throw fromErrno(error, doing, 'TSB_SANDBOX');
    }
  }
}
