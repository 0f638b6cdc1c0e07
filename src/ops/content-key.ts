import type { Task } from '../events/index.ts';
import type { LlbVertex } from '../llb/index.ts';
import { checksumTree, listTree, type Selector } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';
import type { OpVertex } from './kind-runner.ts';
import type { OpPieces } from './pieces.ts';
import type { LocalResult, OpResult } from './result.ts';

/** Names a build context in errors, BuildKit's way. */
export const CONTEXT_LABEL = 'build context';

/** An input of a vertex, with what the vertex reads of it. */
export interface Reading {
  readonly vertex: OpVertex;
  readonly input: number;
  readonly selectors: readonly Selector[];
}

/** Content key of the selected paths of an input: from the directory for a local one, by the worker for layers. */
export async function contentDigest(
  { snapshots, report }: Pick<OpPieces, 'snapshots' | 'report'>,
  task: Task,
  reading: Reading,
  from: OpResult,
): Promise<Digest> {
  const { vertex, input, selectors } = reading;
  if (from.kind === 'local') {
    const digest = checksumTree(from.tree, selectors, CONTEXT_LABEL);
    noteContext(report, reading, from, digest);
    return digest;
  }
  const layers = await snapshots.layers.directories(task, from.layers);
  const params = { layers, selectors, label: inputName(vertex, input) };
  const { digest, listing } = await (await snapshots.worker()).call('checksum', params, { signal: task.signal });
  report.notes.read(vertex.digest, input, digest, () => listing);
  return digest;
}

/** Notes what is read of a local directory. The tree knows the digests of its files, so that listing them later reads none. */
export function noteContext(
  { notes }: OpPieces['report'],
  { vertex, input, selectors }: Reading,
  { tree }: LocalResult,
  digest: Digest,
): void {
  notes.read(vertex.digest, input, digest, () => listTree(tree, selectors, CONTEXT_LABEL));
}

/** What an input is called in errors. */
function inputName(vertex: OpVertex, index: number): string {
  return (vertex.inputs[index]?.vertex as LlbVertex | undefined)?.name ?? `input ${index}`;
}

/** Reads one path as it is. */
export function pathSelector(path: string): Selector {
  return { path, followLinks: true, wildcard: false, include: [], exclude: [], contents: false, required: [] };
}
