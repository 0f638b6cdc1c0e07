import type { DiffOp, MergeOp, PassthroughOp } from '../llb/index.ts';
import { canonicalDigest, TsbuildError } from '../util/index.ts';
import type { KindRunner } from './kind-runner.ts';
import { type LayersResult, type OpResult, scratch, snapshot } from './result.ts';

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

/** What `upper` has on top of `lower`, where `upper` was built on `lower`: its own layers. */
export const diffRunner: KindRunner<DiffOp> = {
  cacheMap: (_task, { inputs }, op) => ({
    digest: canonicalDigest('tsbuild.diff.v1', [op.lower?.input ?? -1, op.upper?.input ?? -1]),
    deps: inputs.map(() => ({})),
  }),
  run: (_task, _vertex, op, inputs) => [diffResults(op, inputs)],
};

/** Only the part that is lists of layers: BuildKit compares file trees where neither was built on the other. */
function diffResults(op: DiffOp, inputs: readonly OpResult[]): LayersResult {
  const lower = op.lower === undefined || op.lower.input < 0 ? [] : layersOf(inputs[op.lower.input]);
  const upper = op.upper === undefined || op.upper.input < 0 ? [] : layersOf(inputs[op.upper.input]);
  if (upper.length === 0) return scratch;
  if (lower.every((id, index) => upper[index] === id)) return snapshot(upper.slice(lower.length));
  throw new TsbuildError('TSB_LLB', 'Cannot compute a diff between snapshots of which one was not built on the other', {
    hint: 'diff a snapshot with one that it was built on',
  });
}
