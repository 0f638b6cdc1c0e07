import type { FileAction, FileOp } from '../../llb/index.ts';
import type { FileInput } from '../../fileop/index.ts';
import { checksumTree, type ContextDir, type ContextTree, encodeContext } from '../../tree/index.ts';
import { fromErrno } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { LayerService, LayerSlot } from '../../snapshots/index.ts';
import { CONTEXT_LABEL } from '../content-key.ts';
import { type OpResult, snapshot } from '../result.ts';
import type { PackPieces } from './pack-here.ts';
import { nowOf } from './file-time.ts';
import type { LayerOrigin } from './packed-op.ts';
import { selectorsOf } from './selectors.ts';

/** Inputs of a file op as the worker takes them. */
interface OpenedInputs {
  readonly sources: readonly FileInput[];
  readonly idsOfDirectories: Map<string, string>;
}

/** Makes directories of the layers that a file op reads, and looks at what it reads of local directories. */
export async function openInputs(
  service: LayerService,
  task: Task,
  file: FileOp,
  inputs: readonly OpResult[],
): Promise<OpenedInputs> {
  const idsOfDirectories = new Map<string, string>();
  const sources = await Promise.all(
    inputs.map(async (input, index): Promise<FileInput> => {
      if (input.kind === 'local')
        return { kind: 'context', context: encodeContext(input.tree, walkedBy(file, index, input.tree)) };
      const layers = await service.directories(task, input.layers);
      layers.forEach((path, at) => idsOfDirectories.set(path, input.layers[at] ?? ''));
      return { kind: 'layers', layers };
    }),
  );
  return { sources, idsOfDirectories };
}

/** Runs a file op in the worker. Its outputs are new layers, as directories, on top of their inputs. */
export async function fillDirectory(
  pieces: PackPieces,
  task: Task,
  file: FileOp,
  inputs: readonly OpResult[],
  { description, type }: LayerOrigin,
): Promise<readonly OpResult[]> {
  const { store, layers, worker } = pieces.snapshots;
  const { idsOfDirectories, sources } = await openInputs(layers, task, file, inputs);
  const now = nowOf(pieces);
  const slots: LayerSlot[] = [];
  const count = layersNeeded(file.actions, inputs.length);

  // A slot is filled inside the callback of the one before it, so that a failure throws all of them away.
  let outputs: readonly { readonly lowers: readonly string[]; readonly layer: string }[] = [];
  const fill = async (): Promise<void> => {
    if (slots.length < count) {
      await layers.create(task, { parents: [], description, type }, async (slot) => {
        slots.push(slot);
        idsOfDirectories.set(slot.fs, slot.id);
        await fill();
      });
      return;
    }
    const done = await (
      await worker()
    ).call(
      'fileOp',
      { actions: file.actions, inputs: sources, now, slots: slots.map(({ dir, fs, work }) => ({ dir, fs, work })) },
      { signal: task.signal },
    );
    for (const warning of done.warnings) pieces.report.warn(warning);
    outputs = done.outputs;
  };
  await fill();

  return outputs.map(({ lowers, layer }) => {
    const parents = lowers.map((path) => idsOfDirectories.get(path) ?? '');
    const id = idsOfDirectories.get(layer) ?? '';
    store.layers.setParents(id, parents);
    return snapshot([...parents, id]);
  });
}

/**
 * The directories of a local input that the copies look at. Everything in them is hashed here, by the user: the worker, root in its
 * namespace, could read files that the user cannot.
 */
function walkedBy(file: FileOp, input: number, tree: ContextTree): ReadonlySet<ContextDir> {
  const selectors = selectorsOf(file, input);
  return tree.record(() => {
    try {
      if (selectors.length > 0) checksumTree(tree, selectors, CONTEXT_LABEL);
    } catch (error) {
      throw fromErrno(error, 'Cannot read the build context', 'TSB_CONTEXT');
    }
  });
}

/** At most so many layers are made: one for each chain of actions, one more for each result that is used twice. */
function layersNeeded(actions: readonly FileAction[], inputs: number): number {
  const uses = new Map<number, number>();
  const use = (index: number): void => {
    if (index >= inputs) uses.set(index, (uses.get(index) ?? 0) + 1);
  };
  actions.forEach((action, index) => {
    use(action.input);
    use(action.secondaryInput);
    if (action.output >= 0) use(index + inputs);
  });
  const chains = actions.filter((action) => action.input < inputs).length;
  return chains + [...uses.values()].filter((count) => count > 1).reduce((sum, count) => sum + count, 0);
}
