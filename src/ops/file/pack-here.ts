import type { Task } from '../../events/index.ts';
import { writeFileOpLayer } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import { compressionOfForm, type PackForm } from '../../snapshots/index.ts';
import type { ContextTree } from '../../tree/index.ts';
import type { OpPieces } from '../pieces.ts';
import { nowOf } from './file-time.ts';
import type { PackedOp } from './packed-op.ts';

/** What packing needs. */
export type PackPieces = Pick<OpPieces, 'snapshots' | 'report'>;

/**
 * Writes the layer of a file op from local directories, in this process.
 * @param options.learn tells the trees the digests of what is read
 * @param options.onRead called when all is read, while the last of it is still being compressed
 * @returns undefined when an ADD meets an archive
 */
export async function packHere(
  pieces: PackPieces,
  task: Task,
  file: FileOp,
  trees: readonly ContextTree[],
  form: PackForm,
  options: { readonly learn?: boolean; readonly onRead?: () => void } = {},
): Promise<PackedOp | undefined> {
  const { store, lease } = pieces.snapshots;
  const inputs = trees.map((tree) => ({ kind: 'tree', tree }) as const);
  // Ids in a blob are the image's, and there is no layer to read others from.
  const params = { actions: file.actions, inputs, now: nowOf(pieces), idShift: 0 };
  const packed = await writeFileOpLayer(params, store.blobs.ingest(), {
    compression: compressionOfForm(form),
    signal: task.signal,
    ...options,
  });
  if (packed) lease.hold({ blobs: [packed.digest] });
  return packed;
}
