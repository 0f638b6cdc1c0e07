import type { DiffOp, MergeOp, PassthroughOp } from '../llb/index.ts';
import { canonicalDigest, TsbuildError } from '../util/index.ts';
import type { KindRunner } from './kind-runner.ts';
import type { OpPieces } from './pieces.ts';
import { type OpResult, scratch, snapshot } from './result.ts';

/** The layers of a result. @throws TsbuildError `TSB_LLB` for a local directory, which has none */
export function layersOf(result: OpResult | undefined): readonly string[] {
  if (result?.kind === 'layers') return result.layers;
  throw new TsbuildError('TSB_LLB', 'Cannot build on a local directory: copy it first');
}

/** Snapshots on top of each other: their layers one after the other. Nothing is read or written. */
export const mergeRunner: KindRunner<MergeOp> = {
  cacheMap: (_task, { inputs }, op) => ({
    digest: canonicalDigest(
      'tsbuild.merge.v1',
      op.inputs.map(({ input }) => input),
    ),
    deps: inputs.map(() => ({})),
  }),
  run: (_task, _vertex, op, inputs) => [
    snapshot(op.inputs.flatMap(({ input }) => (input < 0 ? [] : layersOf(inputs[input])))),
  ],
};

/** Some of its inputs as they are, once all of them are there: BuildKit's way to have a step wait for others (`State.Requires` in Go). */
export const passthroughRunner: KindRunner<PassthroughOp> = {
  cacheMap: (_task, { inputs }, op) => ({
    digest: canonicalDigest('tsbuild.passthrough.v1', [op.id, ...op.outputs.map(String)]),
    deps: inputs.map(() => ({})),
  }),
  run: (_task, _vertex, op, inputs) => op.outputs.map((input) => inputs[input] ?? scratch),
};

/**
 * What `upper` has on top of `lower`. Where it was built on `lower` that is its own layers, and nothing is read; else one layer, made by
 * comparing files (BuildKit's docs/dev/merge-diff.md).
 */
export function diffRunner({ snapshots }: Pick<OpPieces, 'snapshots'>): KindRunner<DiffOp> {
  return {
    cacheMap: (_task, { inputs }, op) => ({
      digest: canonicalDigest('tsbuild.diff.v2', [op.lower?.input ?? -1, op.upper?.input ?? -1]),
      deps: inputs.map(() => ({})),
    }),
    async run(task, { name }, op, inputs) {
      const of = (side: DiffOp['lower']): readonly string[] =>
        side === undefined || side.input < 0 ? [] : layersOf(inputs[side.input]);
      const [lower, upper] = [of(op.lower), of(op.upper)];
      if (lower.every((id, index) => upper[index] === id)) return [snapshot(upper.slice(lower.length))];
      const { layers, worker } = snapshots;
      const directories = await layers.directories(task, upper);
      const layer = await layers.create(task, { parents: lower, description: name }, async ({ lowers, dir }) => {
        const params = { lower: lowers, upper: directories, dir };
        await (await worker()).call('diffTrees', params, { signal: task.signal });
      });
      return [snapshot([layer])];
    },
  };
}
