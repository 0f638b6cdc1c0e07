import type { Task } from '../../events/index.ts';
import type { FileOp } from '../../llb/index.ts';
import type { CacheDep } from '../../solver/index.ts';
import { selectorDigest } from '../../tree/index.ts';
import { contentDigest, noteContext } from '../content-key.ts';
import type { KindRunner, OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { EarlyPacks } from './early-packs.ts';
import { fileInputUse, fileKey } from './file-key.ts';
import { fillDirectory } from './fill-directory.ts';
import { KnownBases } from './known-bases.ts';
import { layersBelow, type OpToPack, packOp, packWithoutFiles } from './pack-op.ts';
import { type LayerOrigin, packedResult } from './packed-op.ts';
import { allSelectorsOf } from './selectors.ts';

/** What file ops need. */
export type FilePieces = Pick<OpPieces, 'snapshots' | 'origins' | 'credentials' | 'report' | 'summaries'>;

/** COPY, ADD, WORKDIR and what else changes files without running a program. */
export function fileRunner(pieces: FilePieces, plan?: PackingPlan): KindRunner<FileOp> {
  const bases = new KnownBases(pieces);
  const early = plan && new EarlyPacks(pieces, plan, bases);
  return {
    cacheMap: (_task, vertex, file) => ({
      digest: fileKey(file),
      deps: vertex.inputs.map((_, index) => depOf(pieces, early, vertex, file, index)),
    }),
    async run(task, vertex, file, inputs) {
      const op = { vertex, file, inputs };
      // The store keeps it with the layer.
      const description = pieces.credentials.secrets.mask?.text(vertex.name) ?? vertex.name;
      const results = await runOp(pieces, { plan, early, bases }, task, op, { description, type: 'regular' });
      // By now it is unpacked, if it had to be. Of a base whose files are needed anyway nobody asks for a summary.
      if (!plan || plan.withoutFiles.has(vertex.digest)) bases.noteBase(layersBelow(op));
      return results;
    },
  };
}

/** What is decided about the ops of a build. */
interface Planned {
  readonly plan: PackingPlan | undefined;
  readonly early: EarlyPacks | undefined;
  readonly bases: KnownBases;
}

async function runOp(
  pieces: FilePieces,
  { plan, early, bases }: Planned,
  task: Task,
  op: OpToPack,
  origin: LayerOrigin,
): Promise<readonly OpResult[]> {
  if (!plan) return fillDirectory(pieces, task, op.file, op.inputs, origin);
  const ready = early?.get(op.vertex);
  if (ready) return [packedResult(pieces, ready.packed, plan.form, ready.parents, origin)];
  const without = await packWithoutFiles(pieces, bases, plan, task, op);
  const packed = without?.packed ?? (await packOp(pieces, plan, task, op));
  if (!packed) return fillDirectory(pieces, task, op.file, op.inputs, origin);
  const result = packedResult(pieces, packed, plan.form, layersBelow(op), origin);
  without?.remember(result.layers);
  return [result];
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
