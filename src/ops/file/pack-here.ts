import type { Task } from '../../events/index.ts';
import { type DirectInput, writeFileOpLayer } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import { compressionOfForm, type PackForm } from '../../snapshots/index.ts';
import type { OpPieces } from '../pieces.ts';
import { nowOf } from './file-time.ts';
import type { PackedOp } from './packed-op.ts';

/** What packing needs. */
export type PackPieces = Pick<OpPieces, 'snapshots' | 'report'>;

/**
 * Writes the layer of a file op from local directories, in this process.
 * @param inputs directories, and perhaps a base that is known without its files
 * @param options.learn tells the trees the digests of what is read
 * @param options.onRead called when all is read, while the last of it is still being compressed
 * @param options.now the time of what has none of its own; default: now
 * @returns undefined when an ADD meets an archive, or files of a base are needed that are not here
 */
export async function packHere(
  pieces: PackPieces,
  task: Task,
  file: FileOp,
  inputs: readonly DirectInput[],
  form: PackForm,
  options: { readonly learn?: boolean; readonly onRead?: () => void; readonly now?: bigint } = {},
): Promise<PackedOp | undefined> {
  const { store, lease } = pieces.snapshots;
  const { now = nowOf(pieces), ...rest } = options;
  // Ids in a blob are the image's, and there is no layer to read others from.
  const params = { actions: file.actions, inputs, now, idShift: 0 };
  const packed = await writeFileOpLayer(params, store.blobs.ingest(), {
    compression: compressionOfForm(form),
    signal: task.signal,
    ...rest,
  });
  if (packed) lease.hold({ blobs: [packed.digest] });
  return packed;
}
