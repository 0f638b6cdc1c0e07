import { statSync } from 'node:fs';
import type { MountSpec, NamespacePlan } from '../../sandbox/index.ts';
import { sanitizeLine } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

/**
 * Says after a failure what a container of root's could not write to: its root is not root of this machine, as docker's is, and a program only
 * says that permission was denied.
 * @param code what the container ended with
 */
export function hintOfForeignMounts(
  context: CliContext,
  { idShift, idCount }: Pick<NamespacePlan, 'idShift' | 'idCount'>,
  mounts: readonly MountSpec[] | undefined,
  code: number,
): void {
  // From 125 on no program of the container has said it, or a signal has ended it.
  if (idShift === 0 || code === 0 || code >= 125) return;
  for (const mount of mounts ?? []) {
    if (mount.type !== 'bind' || mount.volume !== undefined || mount.readonly) continue;
    const { uid, mode } = statSync(mount.source, { throwIfNoEntry: false }) ?? {};
    if (uid === undefined || mode === undefined || (mode & 0o002) !== 0) continue;
    if (uid >= idShift && uid < idShift + idCount) continue;
    const path = sanitizeLine(mount.source, 300);
    context.stderr.write(
      `hint: the container may not write to ${path}: it belongs to id ${uid}, and the container's root is id ${idShift} of this machine; "chown ${idShift} ${path}" gives it to the container, :ro says that it need not\n`,
    );
  }
}
