import type { Task } from '../../events/index.ts';
import type { FileInput, KnownBase } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import { compressionOfForm, type PackForm } from '../../snapshots/index.ts';
import type { ResultOf } from '../../worker/index.ts';
import type { PackPieces } from './pack-here.ts';
import { nowOf } from './file-time.ts';

/**
 * Lets the worker write the layer of a file op straight to a blob.
 * @param options.learn asks for the digests of what is read of local directories
 * @param options.now the time of what has none of its own; default: now
 * @returns undefined when an ADD meets an archive, or files of a base are needed that are not here
 */
export async function packInWorker(
  pieces: PackPieces,
  task: Task,
  { actions }: FileOp,
  inputs: readonly (FileInput | KnownBase)[],
  form: PackForm,
  { learn = false, now = nowOf(pieces) }: { readonly learn?: boolean; readonly now?: bigint } = {},
): Promise<ResultOf<'packFileOp'>> {
  const { lease, worker } = pieces.snapshots;
  const packed = await (
    await worker()
  ).call('packFileOp', { actions, inputs, learn, now, compression: compressionOfForm(form) }, { signal: task.signal });
  if (packed) lease.hold({ blobs: [packed.digest] });
  return packed;
}
