import { ContextTree, LayersTree, encodeDigests, type ReadableTree } from '../tree/index.ts';
import type { FileAction } from '../llb/index.ts';
import {
  DirectoryWriter,
  type EncodedLayer,
  type LayerEntry,
  type LayerSink,
  writeEntries,
  type WriteLayerOptions,
  writeLayerFromEntries,
} from '../layer/index.ts';
import { TsbuildError } from '../util/index.ts';
import { copySteps } from './apply-action.ts';
import type { Steps } from './copy.ts';
import { toLayerEntries } from './layer-entries.ts';
import { applyInMemory, openKnownBase, sourceOf } from './known-base.ts';
import { type BaseTree, type OverlayDir, OverlayTree } from './overlay-tree.ts';
import { OpenedTrees } from './opened-trees.ts';
import { checkActions, openInput } from './run.ts';
import type { FileOpParams, KnownBase, OpenInput } from './types.ts';

/** The layer that a file op makes, described and not written. Dispose it when its entries are no longer wanted. */
export interface LayerStream extends Disposable {
  /**
   * In the order of a layer; a file is open while its entry is the current one. Undefined now and then while entries are being looked
   * for, so that others get their turn. Where the op is one copy onto scratch, they come while the source is walked.
   */
  readonly entries: Iterable<LayerEntry | undefined>;
  /** Layer directories below it, bottom first. */
  readonly lowers: readonly string[];
  /** Complete when the entries are over. */
  readonly warnings: Iterable<string>;
  /** Whether something could not be told because files of the base are not here: the entries end with an error then. */
  readonly needsFiles: () => boolean;
  /** What the op reads, by input. */
  readonly sources: readonly ReadableTree<unknown>[];
}

/** What a file op that is only described reads or builds upon. */
export type DirectInput = OpenInput | KnownBase<OpenInput>;

/** A file op that is not run, only described. */
export interface DirectParams extends Omit<FileOpParams, 'inputs'> {
  readonly inputs: readonly DirectInput[];
}

/**
 * Whether the entries of the layer can be had without writing files: one chain of actions from layers or scratch to one
 * output, whose copies read inputs of the op only.
 */
export function canMakeEntries(
  actions: readonly FileAction[],
  inputs: readonly Pick<OpenInput | KnownBase, 'kind'>[],
): boolean {
  const isBase = (input: number): boolean => inputs[input]?.kind === 'layers' || inputs[input]?.kind === 'known';
  return actions.every((action, index) => {
    const base = action.input;
    const chained = index === 0 ? base < 0 || isBase(base) : base === inputs.length + index - 1;
    return (
      chained && action.secondaryInput < inputs.length && action.output === (index === actions.length - 1 ? 0 : -1)
    );
  });
}

/**
 * Runs the actions in memory. The entries are those of a diff of `runFileActions`' layer.
 * @param options.learn whether the trees that contents come from are told their digests
 * @returns undefined when an ADD meets an archive, which has to be unpacked for real, or files of a base are needed that are not here
 * @throws TsbuildError, as do the entries
 */
export async function fileOpEntries(
  params: DirectParams,
  options: { readonly signal: AbortSignal; readonly learn?: boolean },
): Promise<LayerStream | undefined> {
  const { actions, inputs, idShift, now } = params;
  const { signal } = options;
  check(params);
  const first = inputs[actions[0]?.input ?? -1];
  const lowers = first?.kind === 'layers' ? first.layers : [];
  using opened = new OpenedTrees();
  const known = first?.kind === 'known' ? await openKnownBase(first, { opened, signal, idShift }) : undefined;
  if (first?.kind === 'known' && !known) return undefined;
  const needsFiles = (): boolean => known?.summary.missed ?? false;
  const base: BaseTree = known?.tree ?? opened.add(new LayersTree(lowers, { idShift }));
  const tree = new OverlayTree(base, now);
  const sources = inputs.map((input): ReadableTree<unknown> =>
    input.kind === 'known' ? base : opened.add(openInput(input, idShift)),
  );
  const warnings = new Set<string>();
  const warn = (message: string): void => void warnings.add(message);
  const [only, ...more] = actions;
  let steps: Steps | undefined;
  if (only && more.length === 0 && isPlainCopy(only)) {
    tree.collectMade();
    const context = { tree, treeOf: (input: number) => sources[input], warn };
    steps = copySteps<OverlayDir>({ ...context, source: sourceOf(only, sources, idShift) }, only);
  } else {
    try {
      if (!(await applyInMemory(actions, { tree, sources, warn, signal, idShift }))) return undefined;
    } catch (error) {
      if (needsFiles()) return undefined;
      throw error;
    }
  }
  const learn = options.learn === true;
  function* entries(): Generator<LayerEntry | undefined, void, void> {
    for (const settled of steps ?? []) {
      if (settled === undefined) yield undefined;
      else yield* toLayerEntries(tree.takeBefore(settled), learn);
    }
    yield* toLayerEntries(tree.takeBefore(), learn);
  }
  const { release } = opened.keep();
  return { entries: entries(), lowers, warnings, sources, needsFiles, [Symbol.dispose]: release };
}

function check(params: DirectParams): void {
  checkActions(params.actions, params.inputs.length);
  if (!canMakeEntries(params.actions, params.inputs))
    throw new TsbuildError('TSB_INTERNAL', 'Cannot run this file operation in memory');
}

/** A layer blob, and what was learned while it was written. */
export interface PackedOp extends EncodedLayer {
  readonly warnings: readonly string[];
  /** For each input that is a context, when asked for: the digests of the files that were read (`takeDigests`). */
  readonly learned: readonly (Uint8Array | undefined)[];
}

/**
 * Runs the actions in memory and writes the layer that they make as a directory, what `runFileActions` does on mounted roots.
 * @param target an empty directory: becomes an overlay upper directory on top of the `lowers` that are returned
 * @returns undefined when an ADD meets an archive, which has to be unpacked for real; the directory is empty then
 * @throws TsbuildError; the directory is empty then
 */
export async function writeFileOpDirectory(
  params: DirectParams & { readonly inputs: readonly OpenInput[] },
  target: string,
  options: { readonly signal: AbortSignal },
): Promise<{ readonly lowers: readonly string[]; readonly warnings: readonly string[] } | undefined> {
  using stream = await fileOpEntries(params, options);
  if (!stream) return undefined;
  const { idShift, idCount } = params;
  const { entries, lowers, warnings } = stream;
  const writer = new DirectoryWriter({ target, lowers, idShift, ...(idCount === undefined ? {} : { idCount }) });
  await writeEntries(entries, writer, options);
  return { lowers, warnings: [...warnings] };
}

/**
 * Runs the actions in memory and writes the layer blob that they make, without the files in between.
 * @returns undefined when an ADD meets an archive, which has to be unpacked for real, or files of a base are needed that are not here;
 * nothing is left in the sink then
 * @throws TsbuildError; nothing is left in the sink then either
 */
export async function writeFileOpLayer(
  params: DirectParams,
  sink: LayerSink,
  options: WriteLayerOptions & { readonly signal: AbortSignal; readonly learn?: boolean },
): Promise<PackedOp | undefined> {
  const { learn } = options;
  using stream = await fileOpEntries(params, options).catch((error: unknown) => {
    sink.abort();
    throw error;
  });
  if (!stream) {
    sink.abort();
    return undefined;
  }
  const { entries, warnings, sources } = stream;
  let written: EncodedLayer;
  try {
    written = await writeLayerFromEntries(entries, sink, options);
  } catch (error) {
    if (stream.needsFiles()) return undefined;
    throw error;
  }
  const learned = params.inputs.map((input, index) => {
    const tree = sources[index];
    return learn && input.kind === 'context' && tree instanceof ContextTree
      ? encodeDigests(input.context, tree)
      : undefined;
  });
  return { ...written, warnings: [...warnings], learned };
}

type CopyFileAction = Extract<FileAction, { readonly kind: 'copy' }>;

/** Whether an action only adds to an empty layer. */
function isPlainCopy(action: FileAction): action is CopyFileAction {
  return action.kind === 'copy' && action.input < 0 && !action.attemptUnpack;
}
