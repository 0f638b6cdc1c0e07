import type { CopyAction, FileAction, FileOp } from '../../llb/index.ts';
import { canMakeEntries, type FileInput } from '../../fileop/index.ts';
import { checksumTree, type ContextDir, type ContextTree, packContext, type Selector } from '../../tree/index.ts';
import { type Digest, fromErrno } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { LayerSlot } from '../../snapshots/index.ts';
import type { OpContext } from '../context.ts';
import { callPack, type DirectPack, nowOf } from './early-pack.ts';
import { type OpResult, snapshot } from '../result.ts';

type LayerType = 'regular' | 'source.local' | 'source.http' | 'source.git.checkout';

/** What a copy reads from its source, for checksums. */
export function selectorOf(copy: CopyAction): Selector {
  return {
    path: copy.src,
    followLinks: copy.followSymlink,
    wildcard: copy.allowWildcard,
    include: copy.includePatterns,
    exclude: copy.excludePatterns,
    contents: copy.dirCopyContents,
    required: copy.requiredPaths,
  };
}

/**
 * Runs a file op in the worker. Its outputs are new layers on top of their inputs.
 * @param vertex absent for work that is not a vertex; decides whether only the blob of the result is wanted
 */
export async function runFileOp(
  context: OpContext,
  task: Task,
  vertex: Digest | undefined,
  name: string,
  file: FileOp,
  inputs: readonly OpResult[],
  type: LayerType = 'regular',
): Promise<readonly OpResult[]> {
  const early = vertex === undefined ? undefined : context.earlyPacks.get(vertex);
  if (early) return [packedResult(context, early, name, type)];
  const idsOfDirectories = new Map<string, string>();
  const sources = await Promise.all(
    inputs.map(async (input, index): Promise<FileInput> => {
      if (input.kind === 'local')
        return { kind: 'context', context: packContext(input.tree, walkedBy(file, index, input.tree)) };
      const layers = await context.layers.directories(task, input.layers);
      layers.forEach((path, at) => idsOfDirectories.set(path, input.layers[at] ?? ''));
      return { kind: 'layers', layers };
    }),
  );
  const { direct } = context;
  if (
    vertex !== undefined &&
    direct?.vertices.has(vertex) &&
    // Windows has no mark for directories that hide others: only a diff tells what is in them.
    !inputs.some((input) => input.kind === 'layers' && context.layers.isWindows(input.layers)) &&
    canMakeEntries({ actions: file.actions, inputs: sources })
  ) {
    const packed = await callPack(context, task, { actions: file.actions, inputs: sources }, direct);
    if (packed) {
      const base = inputs[file.actions[0]?.input ?? -1];
      const parents = base?.kind === 'layers' ? base.layers : [];
      return [packedResult(context, { packed, parents, compression: direct.compression }, name, type)];
    }
  }
  const worker = await context.worker();
  const now = nowOf(context);
  const slots: LayerSlot[] = [];
  const count = layersNeeded(file.actions, inputs.length);

  // A slot is filled inside the callback of the one before it, so that a failure throws all of them away.
  let outputs: readonly { readonly lowers: readonly string[]; readonly layer: string }[] = [];
  const fill = async (): Promise<void> => {
    if (slots.length < count) {
      await context.layers.create(task, { parents: [], description: name, type }, async (slot) => {
        slots.push(slot);
        idsOfDirectories.set(slot.fs, slot.id);
        await fill();
      });
      return;
    }
    const done = await worker.call(
      'fileOp',
      { actions: file.actions, inputs: sources, now, slots: slots.map(({ dir, fs, work }) => ({ dir, fs, work })) },
      { signal: task.signal },
    );
    for (const warning of done.warnings) context.warn(warning);
    outputs = done.outputs;
  };
  await fill();

  return outputs.map(({ lowers, layer }) => {
    const parents = lowers.map((path) => idsOfDirectories.get(path) ?? '');
    const id = idsOfDirectories.get(layer) ?? '';
    context.store.layers.setParents(id, parents);
    return snapshot([...parents, id]);
  });
}

/** The result of an op whose layer is only a blob so far. */
function packedResult(
  context: OpContext,
  { packed, parents, compression }: DirectPack,
  description: string,
  type: LayerType,
): OpResult {
  for (const warning of packed.warnings) context.warn(warning);
  const id = context.layers.createPacked({ parents, description, type }, { ...packed, compression });
  return snapshot([...parents, id]);
}

function selectorsOf(file: FileOp, input: number): readonly Selector[] {
  return file.actions.flatMap((action) =>
    action.kind === 'copy' && action.secondaryInput === input ? [selectorOf(action)] : [],
  );
}

/**
 * The directories of a local input that the copies look at. Everything in them is hashed here, by the user: the worker, root in its
 * namespace, could read files that the user cannot.
 */
function walkedBy(file: FileOp, input: number, tree: ContextTree): ReadonlySet<ContextDir> {
  const selectors = selectorsOf(file, input);
  return tree.record(() => {
    try {
      if (selectors.length > 0) checksumTree(tree, selectors, 'build context');
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
