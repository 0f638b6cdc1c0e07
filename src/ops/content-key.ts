import type { Task } from '../events/index.ts';
import type { LlbVertex } from '../llb/index.ts';
import { checksumTree, type Selector } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';
import type { OpVertex } from './kind-runner.ts';
import type { Snapshots } from './pieces.ts';
import type { OpResult } from './result.ts';

/** Names a build context in errors, BuildKit's way. */
export const CONTEXT_LABEL = 'build context';

/** Content key of the selected paths of an input: from the directory for a local one, by the worker for layers. */
export async function contentDigest(
  { layers: service, worker }: Snapshots,
  task: Task,
  label: string,
  input: OpResult,
  selectors: readonly Selector[],
): Promise<Digest> {
  if (input.kind === 'local') return checksumTree(input.tree, selectors, CONTEXT_LABEL);
  const layers = await service.directories(task, input.layers);
  return (await worker()).call('checksum', { layers, selectors, label }, { signal: task.signal });
}

/** What an input is called in errors. */
export function inputName(vertex: OpVertex, index: number): string {
  return (vertex.inputs[index]?.vertex as LlbVertex | undefined)?.name ?? `input ${index}`;
}

/** Reads one path as it is. */
export function pathSelector(path: string): Selector {
  return { path, followLinks: true, wildcard: false, include: [], exclude: [], contents: false, required: [] };
}
