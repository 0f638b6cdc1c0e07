import { canMakeEntries } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import type { Digest } from '../../util/index.ts';
import type { OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';

/**
 * How the layer of a file op comes to be, when the cache has none:
 *
 * - `here`: this process writes the blob, of files as the user reads them. Nothing is below, or what is below is known without its files,
 *   so there is nothing that only the worker could look at, and it need not even be started.
 * - `worker-blob`: the worker writes the blob, since it must look at layers. No file is written.
 * - `worker-directory`: the worker makes the files, for who reads them next; they are packed if they are wanted as a blob too.
 *
 * On a base that is known (see `KnownBases`) the last is none: it has no files to make a directory on. All give the same blob. The archive of an ADD, which has to be unpacked for real, makes the first two turn into the third.
 */
export type Way = 'here' | 'worker-blob' | 'worker-directory';

/** What a file op is given. */
export interface FileSituation {
  readonly file: FileOp;
  /** Of each input: a directory of the machine, layers, or what is built upon where that is known without its files. */
  readonly inputs: readonly ('local' | 'layers' | 'known')[];
  /** Layers of a Windows image are below. They have no mark for directories that hide others: only a diff tells what is in them. */
  readonly onWindows: boolean;
}

/** The way for the file op of a vertex. */
export function wayOf({ file, inputs, onWindows }: FileSituation, vertex: Digest, plan: PackingPlan): Way {
  const isKnown = inputs.includes('known');
  const wanted = isKnown && plan.withoutFiles.has(vertex) ? plan.withoutFiles : plan.blobOnly;
  if (!wanted.has(vertex) || onWindows) return 'worker-directory';
  const kinds = inputs.map((kind) => ({ kind: kind === 'local' ? ('tree' as const) : kind }));
  if (!canMakeEntries(file.actions, kinds)) return 'worker-directory';
  return inputs.every((kind) => kind !== 'layers') ? 'here' : 'worker-blob';
}

/** With less to read than either, hashing it first takes no longer. */
const MUCH = { files: 500, bytes: 8 * 1024 * 1024 };

/** Whether so many files, or so many bytes, are much to read. */
export function isMuch(files: number, bytes: number): boolean {
  return files >= MUCH.files || bytes >= MUCH.bytes;
}

/**
 * Whether a blob may be written before its key is known, in the pass that hashes what is copied, so that a large context (`isMuch`) is
 * read once and not twice. It is for nothing when the cache has the layer, so only for what is most likely new.
 */
export function mayPackEarly(
  { digest, ignoreCache }: Pick<OpVertex, 'digest' | 'ignoreCache'>,
  { blobOnly, isNews }: PackingPlan,
): boolean {
  return blobOnly.has(digest) && (isNews || ignoreCache);
}
