import { canMakeEntries } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import type { CacheDep } from '../../solver/index.ts';
import { selectorDigest } from '../../tree/index.ts';
import { contentDigest, inputName } from '../content-key.ts';
import type { KindRunner, OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import { type OpResult, snapshot } from '../result.ts';
import { callPack, type DirectPack, EarlyPacks } from './early-pack.ts';
import { fileInputUse, fileKey } from './file-key.ts';
import { type LayerOrigin, openInputs, runFileOp } from './file-op.ts';
import { allSelectorsOf } from './selectors.ts';

type Pieces = Pick<OpPieces, 'snapshots' | 'origins' | 'credentials' | 'report'>;

/** COPY, ADD, WORKDIR and what else changes files without running a program. */
export function fileRunner(pieces: Pieces, plan: PackingPlan | undefined): KindRunner<FileOp> {
  const { snapshots, credentials, report } = pieces;
  const { layers } = snapshots;
  const early = plan && new EarlyPacks(pieces, plan);

  const depOf = (vertex: OpVertex, file: FileOp, index: number): CacheDep<OpResult> => {
    const use = fileInputUse(file, index);
    if (use.base || (use.copies.length === 0 && !use.databases)) return {};
    const selectors = allSelectorsOf(file, index);
    return {
      selector: selectorDigest(selectors),
      async contentDigest(task, input) {
        const digest =
          input.kind === 'local'
            ? await early?.pack(task, { vertex, file, input: index, selectors, tree: input.tree })
            : undefined;
        return digest ?? contentDigest(snapshots, task, inputName(vertex, index), input, selectors);
      },
    };
  };

  /** The result of an op whose layer is only a blob so far. */
  const packedResult = ({ packed, parents, compression }: DirectPack, origin: LayerOrigin): OpResult => {
    for (const warning of packed.warnings) report.warn(warning);
    return snapshot([...parents, layers.createPacked({ parents, ...origin }, { ...packed, compression })]);
  };

  return {
    cacheMap: (_task, vertex, file) => ({
      digest: fileKey(file),
      deps: vertex.inputs.map((_, index) => depOf(vertex, file, index)),
    }),
    async run(task, vertex, file, inputs) {
      // The store keeps it with the layer.
      const description = credentials.secrets.mask?.text(vertex.name) ?? vertex.name;
      const origin: LayerOrigin = { description, type: 'regular' };
      const packedEarly = early?.get(vertex.digest);
      if (packedEarly) return [packedResult(packedEarly, origin)];
      // Windows has no mark for directories that hide others: only a diff tells what is in them.
      const onWindows = inputs.some((input) => input.kind === 'layers' && layers.isWindows(input.layers));
      if (plan?.blobOnly.has(vertex.digest) === true && !onWindows) {
        const { sources } = await openInputs(layers, task, file, inputs);
        if (canMakeEntries({ actions: file.actions, inputs: sources })) {
          const packed = await callPack(pieces, task, { actions: file.actions, inputs: sources }, plan);
          const base = inputs[file.actions[0]?.input ?? -1];
          const parents = base?.kind === 'layers' ? base.layers : [];
          if (packed) return [packedResult({ packed, parents, compression: plan.form.kind }, origin)];
        }
      }
      return runFileOp(pieces, task, file, inputs, origin);
    },
  };
}
