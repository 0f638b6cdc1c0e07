import type { Task } from '../../events/index.ts';
import type { FileOp } from '../../llb/index.ts';
import type { CacheDep } from '../../solver/index.ts';
import { type ContextTree, selectorDigest } from '../../tree/index.ts';
import { contentDigest, noteContext } from '../content-key.ts';
import type { KindRunner, OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { EarlyPacks } from './early-packs.ts';
import { fileInputUse, fileKey } from './file-key.ts';
import { fillDirectory, openInputs } from './fill-directory.ts';
import { packHere } from './pack-here.ts';
import { packInWorker } from './pack-in-worker.ts';
import { type LayerOrigin, type PackedOp, packedResult } from './packed-op.ts';
import { wayOf } from './plan.ts';
import { allSelectorsOf } from './selectors.ts';

/** What file ops need. */
export type FilePieces = Pick<OpPieces, 'snapshots' | 'origins' | 'credentials' | 'report'>;

/** COPY, ADD, WORKDIR and what else changes files without running a program. */
export function fileRunner(pieces: FilePieces, plan?: PackingPlan): KindRunner<FileOp> {
  const early = plan && new EarlyPacks(pieces, plan);
  return {
    cacheMap: (_task, vertex, file) => ({
      digest: fileKey(file),
      deps: vertex.inputs.map((_, index) => depOf(pieces, early, vertex, file, index)),
    }),
    async run(task, vertex, file, inputs) {
      // The store keeps it with the layer.
      const description = pieces.credentials.secrets.mask?.text(vertex.name) ?? vertex.name;
      const origin: LayerOrigin = { description, type: 'regular' };
      const ready = early?.get(vertex);
      if (plan && ready) return [packedResult(pieces, ready.packed, plan.form, ready.parents, origin)];
      const packed = plan && (await pack(pieces, plan, task, vertex, file, inputs));
      if (!packed) return fillDirectory(pieces, task, file, inputs, origin);
      const base = inputs[file.actions[0]?.input ?? -1];
      return [packedResult(pieces, packed, plan.form, base?.kind === 'layers' ? base.layers : [], origin)];
    },
  };
}

/** How an input takes part in the key: by what is read of it, unless it is built upon. */
function depOf(
  pieces: FilePieces,
  early: EarlyPacks | undefined,
  vertex: OpVertex,
  file: FileOp,
  index: number,
): CacheDep<OpResult> {
  const use = fileInputUse(file, index);
  if (use.base || (use.copies.length === 0 && !use.databases)) return {};
  const selectors = allSelectorsOf(file, index);
  return {
    selector: selectorDigest(selectors),
    async contentDigest(task, input) {
      const reading = { vertex, input: index, selectors };
      if (input.kind === 'local') {
        const digest = await early?.pack(task, { ...reading, file, tree: input.tree });
        if (digest !== undefined) {
          noteContext(pieces.report, reading, input, digest);
          return digest;
        }
      }
      return contentDigest(pieces, task, reading, input);
    },
  };
}

/** The layer as a blob, by the way that is planned; undefined where that is none of a blob, or cannot be gone to its end. */
async function pack(
  pieces: FilePieces,
  plan: PackingPlan,
  task: Task,
  vertex: OpVertex,
  file: FileOp,
  inputs: readonly OpResult[],
): Promise<PackedOp | undefined> {
  const { layers } = pieces.snapshots;
  const onWindows = inputs.some((input) => input.kind === 'layers' && layers.isWindows(input.layers));
  switch (wayOf({ file, inputs: inputs.map(({ kind }) => kind), onWindows }, vertex.digest, plan)) {
    case 'here': {
      const trees = inputs.flatMap((input): ContextTree[] => (input.kind === 'local' ? [input.tree] : []));
      return packHere(pieces, task, file, trees, plan.form);
    }
    case 'worker-blob': {
      const { sources } = await openInputs(layers, task, file, inputs);
      return packInWorker(pieces, task, file, sources, plan.form);
    }
    case 'worker-directory':
      return undefined;
  }
}
