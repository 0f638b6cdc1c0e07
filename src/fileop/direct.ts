import { ContextTree, LayersTree, encodeDigests, type ReadableTree } from '../tree/index.ts';
import type { FileAction } from '../llb/index.ts';
import {
  type EncodedLayer,
  type LayerEntry,
  type LayerSink,
  type WriteLayerOptions,
  writeLayerFromEntries,
} from '../layer/index.ts';
import { TsbuildError } from '../util/index.ts';
import { applyAction, copySteps } from './apply-action.ts';
import { toLayerEntries } from './layer-entries.ts';
import { type OverlayDir, type OverlayEntry, OverlayTree } from './overlay-tree.ts';
import { checkActions, openInput } from './run.ts';
import type { FileOpParams, OpenInput } from './types.ts';
import { isArchiveMatch } from './unpack.ts';

/** The layer that a file op makes, described but not written. */
export interface DirectLayer {
  /** Layer directories below it, bottom first. */
  readonly lowers: readonly string[];
  /** In the order of a layer; contents are opened when they are read. */
  readonly entries: readonly OverlayEntry[];
  /** What is below, to compare with. */
  readonly base: LayersTree;
  readonly warnings: readonly string[];
  /** What the op reads, by input. */
  readonly sources: readonly ReadableTree<unknown>[];
}

/** A file op that is not run, only described. */
export interface DirectParams extends Omit<FileOpParams, 'inputs'> {
  readonly inputs: readonly OpenInput[];
}

/**
 * Whether the entries of the layer can be had without writing files: one chain of actions from layers or scratch to one
 * output, whose copies read inputs of the op only.
 */
export function canMakeEntries(actions: readonly FileAction[], inputs: readonly Pick<OpenInput, 'kind'>[]): boolean {
  return actions.every((action, index) => {
    const base = action.input;
    const chained = index === 0 ? base < 0 || inputs[base]?.kind === 'layers' : base === inputs.length + index - 1;
    return (
      chained && action.secondaryInput < inputs.length && action.output === (index === actions.length - 1 ? 0 : -1)
    );
  });
}

/**
 * Runs the actions in memory. Gives what a diff of `runFileActions`' layer would.
 * @returns undefined when an ADD meets an archive, which has to be unpacked for real
 * @throws TsbuildError
 */
export async function layerEntries(
  params: DirectParams,
  task: { readonly signal: AbortSignal },
): Promise<DirectLayer | undefined> {
  const { actions, inputs, idShift, now } = params;
  check(params);
  const base = inputs[actions[0]?.input ?? -1];
  const lowers = base?.kind === 'layers' ? base.layers : [];
  const below = new LayersTree(lowers, { idShift });
  const tree = new OverlayTree(below, now);
  const trees = inputs.map((input) => openInput(input, idShift));
  const warnings = new Set<string>();
  for (const action of actions) {
    const source = sourceOf(action, trees, idShift);
    const archives = { found: false };
    await applyAction<OverlayDir>({
      action,
      tree,
      source,
      treeOf: (input) => trees[input],
      warn: (message) => warnings.add(message),
      signal: task.signal,
      unpack: async (match) => {
        if (source && (await isArchiveMatch(source, match))) archives.found = true;
        return archives.found;
      },
    });
    if (archives.found) return undefined;
  }
  return { lowers, entries: tree.entries(), base: below, warnings: [...warnings], sources: trees };
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
 * Runs the actions in memory and writes the layer blob that they make, without the files in between.
 * @returns undefined when an ADD meets an archive, which has to be unpacked for real
 * @throws TsbuildError; nothing is left in the sink then
 */
export async function writeFileOpLayer(
  params: DirectParams,
  sink: LayerSink,
  options: WriteLayerOptions & { readonly signal: AbortSignal; readonly learn?: boolean },
): Promise<PackedOp | undefined> {
  const learn = options.learn === true;
  let source: EntrySource | undefined;
  try {
    const [action, ...more] = params.actions;
    source =
      action && more.length === 0 && isPlainCopy(action)
        ? growingLayer(params, action, learn)
        : await wholeLayer(params, options, learn);
  } finally {
    if (!source) sink.abort();
  }
  if (!source) return undefined;
  const { entries, warnings, sources } = source;
  const written = await writeLayerFromEntries(entries, sink, options);
  const learned = params.inputs.map((input, index) => {
    const tree = sources[index];
    return learn && input.kind === 'context' && tree instanceof ContextTree
      ? encodeDigests(input.context, tree)
      : undefined;
  });
  return { ...written, warnings: [...warnings], learned };
}

interface EntrySource {
  readonly entries: Iterable<LayerEntry | undefined>;
  /** Complete when the entries are over. */
  readonly warnings: Iterable<string>;
  readonly sources: readonly ReadableTree<unknown>[];
}

async function wholeLayer(
  params: DirectParams,
  task: { readonly signal: AbortSignal },
  learn: boolean,
): Promise<EntrySource | undefined> {
  const layer = await layerEntries(params, task);
  return layer && { ...layer, entries: toLayerEntries(layer.entries, layer.base, learn) };
}

type CopyFileAction = Extract<FileAction, { readonly kind: 'copy' }>;

/** Whether an action only adds to an empty layer. */
function isPlainCopy(action: FileAction): action is CopyFileAction {
  return action.kind === 'copy' && action.input < 0 && !action.attemptUnpack;
}

/** A layer of one copy onto scratch, whose entries come while the source is being walked: other threads compress them meanwhile. */
function growingLayer(params: DirectParams, action: CopyFileAction, learn: boolean): EntrySource {
  const { inputs, idShift, now } = params;
  check(params);
  const sources = inputs.map((input) => openInput(input, idShift));
  const warnings = new Set<string>();
  const base = new LayersTree([], { idShift });
  const tree = new OverlayTree(base, now);
  tree.collectMade();
  const steps = copySteps<OverlayDir>(
    {
      tree,
      source: sourceOf(action, sources, idShift),
      treeOf: (input) => sources[input],
      warn: (message) => void warnings.add(message),
    },
    action,
  );
  function* entries(): Generator<LayerEntry | undefined, void, void> {
    for (const settled of steps) {
      if (settled === undefined) yield undefined;
      else yield* toLayerEntries(tree.takeBefore(settled), base, learn);
    }
    yield* toLayerEntries(tree.takeBefore(), base, learn);
  }
  return { entries: entries(), warnings, sources };
}

function sourceOf(
  action: FileAction,
  trees: readonly ReadableTree<unknown>[],
  idShift: number,
): ReadableTree<unknown> | undefined {
  if (action.kind !== 'copy') return undefined;
  return trees[action.secondaryInput] ?? new LayersTree([], { idShift });
}
