import { type Container, Volumes } from '../../containers/index.ts';
import { type Session, treeRemover } from '../../engine/index.ts';
import type { MountSpec } from '../../sandbox/index.ts';
import type { CliContext } from '../context.ts';
import { sessionOptions } from '../session-options.ts';

/** Volumes without a name that were made for a container, and go when that does not come to be. */
export function anonymousVolumes(
  context: CliContext,
  session: Session,
  mounts: readonly MountSpec[],
): AsyncDisposable & { keep(): void } {
  let kept = false;
  return {
    keep: () => {
      kept = true;
    },
    async [Symbol.asyncDispose]() {
      if (!kept) await removeAnonymous(context, session, mounts);
    },
  };
}

/** Removes the volumes without a name among mounts, but for those that a container has. */
export async function removeAnonymous(
  context: CliContext,
  session: Session,
  mounts: readonly MountSpec[],
  gone?: Container,
): Promise<void> {
  const volumes = new Volumes(session.store);
  const names = mounts.flatMap((mount) => (mount.type === 'bind' && mount.volume !== undefined ? [mount.volume] : []));
  const anonymous = names
    .flatMap((name) => volumes.lookUp(name) ?? [])
    .filter(({ anonymous: made, shared }) => made && !shared);
  if (anonymous.length === 0) return;
  const { Containers } = await import('../../containers/index.ts');
  const others = new Containers(session.store).list().filter(({ id }) => id !== gone?.id);
  const remover = treeRemover({ ...sessionOptions(context, session.options.signal), ...session.options });
  for (const volume of anonymous) await volumes.remove(volume, others, remover);
}
