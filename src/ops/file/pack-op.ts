import { statusOf, type Task } from '../../events/index.ts';
import type { DirectInput } from '../../fileop/index.ts';
import type { FileOp } from '../../llb/index.ts';
import type { OpVertex } from '../kind-runner.ts';
import type { PackingPlan } from '../packing-plan.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { nowOf } from './file-time.ts';
import { openInputs } from './fill-directory.ts';
import {
  type KnownBases,
  knownHere,
  knownInWorker,
  type KnownStack,
  treesOf,
  withKnown,
  withoutBase,
} from './known-bases.ts';
import { packHere } from './pack-here.ts';
import { packInWorker } from './pack-in-worker.ts';
import type { PackedOp } from './packed-op.ts';
import { wayOf } from './plan.ts';

/** A file op that is to become a blob. */
export interface OpToPack {
  readonly vertex: OpVertex;
  readonly file: FileOp;
  readonly inputs: readonly OpResult[];
}

/** What packing needs. */
type Pieces = Pick<OpPieces, 'snapshots' | 'report'>;

/** The input that an op builds upon; -1 for scratch. */
const baseOf = ({ actions }: FileOp): number => actions[0]?.input ?? -1;

/** The layers that an op builds upon, bottom first. */
export function layersBelow({ file, inputs }: Pick<OpToPack, 'file' | 'inputs'>): readonly string[] {
  const base = inputs[baseOf(file)];
  return base?.kind === 'layers' ? base.layers : [];
}

/** The layer as a blob, by the way that is planned; undefined where that is none of a blob, or cannot be gone to its end. */
export async function packOp(
  pieces: Pieces,
  plan: PackingPlan,
  task: Task,
  op: OpToPack,
): Promise<PackedOp | undefined> {
  const { vertex, file, inputs } = op;
  const { layers } = pieces.snapshots;
  const kinds = inputs.map(({ kind }) => kind);
  switch (wayOf({ file, inputs: kinds, onWindows: onWindows(pieces, inputs) }, vertex.digest, plan)) {
    case 'here':
      return packHere(pieces, task, file, (treesOf(inputs, -1) ?? []) as readonly DirectInput[], plan.form);
    case 'worker-blob': {
      const { sources } = await openInputs(layers, task, file, inputs);
      return packInWorker(pieces, task, file, sources, plan.form);
    }
    case 'worker-directory':
      return undefined;
  }
}

/** A layer that was made without the files below it. */
export interface PackedWithoutFiles {
  readonly packed: PackedOp;
  /** What the layers that come of it are known by. @param layers bottom first */
  readonly remember: (layers: readonly string[]) => void;
}

/**
 * The same on a stack that is known without its files; undefined where it is not, or that does not do: what is below is fetched then, as it would
 * be without this.
 * @param options see `packHere`
 */
export async function packWithoutFiles(
  pieces: Pieces,
  bases: KnownBases,
  plan: PackingPlan,
  task: Task,
  op: OpToPack,
  options: { readonly learn?: boolean; readonly onRead?: () => void } = {},
): Promise<PackedWithoutFiles | undefined> {
  const { vertex, file, inputs } = op;
  const base = baseOf(file);
  const kinds = inputs.map(({ kind }, at) => (at === base ? 'known' : kind));
  const way = wayOf({ file, inputs: kinds, onWindows: onWindows(pieces, inputs) }, vertex.digest, plan);
  const stack = way === 'worker-directory' ? undefined : await bases.of(task, file, layersBelow(op));
  if (!stack) return undefined;
  const now = nowOf(pieces);
  const packed = await packOn(pieces, plan, task, op, stack, { ...options, now });
  if (!packed) return undefined;
  const count = pieces.snapshots.layers.imageChains(layersBelow(op)).length;
  const text = `base not needed: what is in its ${count} ${count === 1 ? 'layer' : 'layers'} is known from a summary`;
  statusOf(task, vertex.digest, () => pieces.report.now())(text, 0, undefined, true);
  return { packed, remember: (layers) => bases.add(layers, stack, { file, inputs, base, now }) };
}

async function packOn(
  pieces: Pieces,
  plan: PackingPlan,
  task: Task,
  { file, inputs }: OpToPack,
  stack: KnownStack,
  options: { readonly learn?: boolean; readonly onRead?: () => void; readonly now: bigint },
): Promise<PackedOp | undefined> {
  const base = baseOf(file);
  const trees = treesOf(inputs, base);
  const here = trees && knownHere(stack);
  if (here) {
    const opened = trees.map((one, at) => (at === base ? here : one)) as readonly DirectInput[];
    return packHere(pieces, task, file, opened, plan.form, options);
  }
  const known = await knownInWorker(pieces.snapshots, task, stack);
  const { sources } = await openInputs(pieces.snapshots.layers, task, file, withoutBase(inputs, base));
  return packInWorker(pieces, task, file, withKnown(sources, base, known), plan.form, { now: options.now });
}

function onWindows({ snapshots }: Pieces, inputs: readonly OpResult[]): boolean {
  return inputs.some((input) => input.kind === 'layers' && snapshots.layers.isWindows(input.layers));
}
