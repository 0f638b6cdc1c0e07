import { join } from 'node:path';
import type { Container } from '../../containers/index.ts';
import type { Session } from '../session.ts';

/** What a container takes, in bytes on disk. */
export interface ContainerSize {
  /** What it has written: the layer that is its own. */
  readonly rw: number;
  /** That, and all layers of its image. */
  readonly rootFs: number;
}

/**
 * Measures containers, whose files may belong to sub-ids. Layers are known to the store; one that it has not measured yet is looked at.
 * @returns sizes in the order of the containers
 */
export async function measureContainers(
  session: Session,
  containers: readonly Container[],
  signal: AbortSignal,
): Promise<readonly ContainerSize[]> {
  const { store } = session;
  const stacks = containers.map(({ id }) => store.containers.layersOf(id));
  const sizes = new Map<string, number>();
  const unknown: string[] = [];
  for (const id of new Set(stacks.flat())) {
    const bytes = store.layers.get(id)?.bytes ?? 0;
    if (bytes > 0) sizes.set(id, bytes);
    else unknown.push(id);
  }
  const own = containers.map(({ directory }) => join(directory, 'fs'));
  const measured = await session.measure([...own, ...unknown.map((id) => store.layers.paths(id).fs)], signal);
  for (const [at, id] of unknown.entries()) sizes.set(id, measured[own.length + at]?.bytes ?? 0);
  return stacks.map((layers, at) => {
    const rw = measured[at]?.bytes ?? 0;
    return { rw, rootFs: layers.reduce((sum, id) => sum + (sizes.get(id) ?? 0), rw) };
  });
}
