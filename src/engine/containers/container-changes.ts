import type { Container } from '../../containers/index.ts';
import type { Task } from '../../events/index.ts';
import { startWorker, type FileChange } from '../../worker/index.ts';
import { findHelper } from '../../sandbox/index.ts';
import { seccompDirectory, workerEntry } from '../paths.ts';
import type { Session } from '../session.ts';

/** Where a container's files are: its image's layers, bottom first, and its own. */
export interface ContainerLayers {
  readonly ids: readonly string[];
  readonly lowers: readonly string[];
  readonly upper: string;
}

/** Holds the layers of a container for as long as this command runs. @throws TsbuildError when they cannot be had any more */
export async function layersOf(session: Session, task: Task, container: Container): Promise<ContainerLayers> {
  const ids = session.store.containers.layersOf(container.id);
  session.lease.hold({ layers: ids });
  return { ids, lowers: await session.layers.directories(task, ids), upper: `${container.directory}/fs` };
}

/** Paths that are made in every container's upper directory while it runs, for what is mounted there; and its own. */
export function stubsOf({ record }: Container): readonly string[] {
  const usual = ['dev', 'proc', 'sys', 'etc/hosts', 'etc/resolv.conf', 'etc/hostname'];
  const own = (record.step.mounts ?? []).map(({ target }) => target.split('/').filter(Boolean).join('/'));
  return [...usual, ...own];
}

/** What a container has added, changed and deleted. It may run. */
export async function containerChanges(
  session: Session,
  task: Task,
  container: Container,
): Promise<readonly FileChange[]> {
  const { lowers, upper } = await layersOf(session, task, container);
  const worker = await session.worker();
  return worker.call('listChanges', { upper, lowers, stubs: stubsOf(container) }, { signal: task.signal });
}

/**
 * Writes the files of a container as a tar archive, without what is mounted in it.
 * @param fd where to; 1 for standard output
 */
export async function exportContainer(session: Session, task: Task, container: Container, fd: number): Promise<void> {
  const { lowers, upper } = await layersOf(session, task, container);
  // A worker of its own, which has the descriptor.
  await using worker = await startWorker({
    plan: await session.plan(),
    helperPath: findHelper(session.options.helper),
    workerEntry,
    seccompDir: seccompDirectory,
    storeRoot: session.store.root,
    signal: task.signal,
    streams: ['ignore', fd === 1 ? 'inherit' : fd],
  });
  await worker.call('exportTree', { layers: [...lowers, upper] }, { signal: task.signal });
}
