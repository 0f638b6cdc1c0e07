import { decodeSummary, LayersTree, type ReadableTree, type SummaryTree } from '../tree/index.ts';
import type { FileAction } from '../llb/index.ts';
import { applyAction } from './apply-action.ts';
import type { OpenedTrees } from './opened-trees.ts';
import { type BaseTree, type OverlayDir, OverlayTree } from './overlay-tree.ts';
import { openInput } from './run.ts';
import type { KnownBase, OpenInput } from './types.ts';
import { isArchiveMatch } from './unpack.ts';

/** A base that is known without its files. */
export interface OpenedBase {
  readonly tree: BaseTree;
  /** Where what is known of it ends. */
  readonly summary: SummaryTree;
}

/** What is the same for all actions that are done in memory. */
interface InMemory {
  readonly tree: OverlayTree;
  /** The trees of the op's inputs. */
  readonly sources: readonly (ReadableTree<unknown> | undefined)[];
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
  readonly idShift: number;
}

/**
 * Does actions to a tree in memory.
 * @returns false when an ADD meets an archive, which has to be unpacked for real
 */
export async function applyInMemory(actions: readonly FileAction[], context: InMemory): Promise<boolean> {
  const { sources, idShift } = context;
  for (const action of actions) {
    const source = sourceOf(action, sources, idShift);
    let isArchive = false;
    await applyAction<OverlayDir>({
      ...context,
      action,
      source,
      treeOf: (input) => sources[input],
      unpack: async (match) => (isArchive ||= source !== undefined && (await isArchiveMatch(source, match))),
    });
    if (isArchive) return false;
  }
  return true;
}

/** The tree that a copy reads: an input of the op, or nothing. */
export function sourceOf(
  action: FileAction,
  trees: readonly (ReadableTree<unknown> | undefined)[],
  idShift: number,
): ReadableTree<unknown> | undefined {
  if (action.kind !== 'copy') return undefined;
  return trees[action.secondaryInput] ?? new LayersTree([], { idShift });
}

/**
 * The tree of a base that is known without its files, with what was done to it since.
 * @param opened gets what has to be closed
 * @returns undefined where something that was done to it needs files
 * @throws TsbuildError `TSB_IMAGE` for a summary that is none
 */
export async function openKnownBase(
  { summary: bytes, above }: KnownBase<OpenInput>,
  { opened, signal, idShift }: { readonly opened: OpenedTrees } & Pick<InMemory, 'signal' | 'idShift'>,
): Promise<OpenedBase | undefined> {
  const summary = decodeSummary(bytes);
  let below: BaseTree = summary;
  for (const { actions, inputs, now } of above) {
    const tree = new OverlayTree(below, now);
    const sources = inputs.map((input) =>
      'context' in input || 'tree' in input || 'layers' in input ? opened.add(openInput(input, idShift)) : undefined,
    );
    // What it warns of was told when it was done.
    const done = applyInMemory(actions, { tree, sources, warn: () => undefined, signal, idShift });
    const isDone = await done.catch((error: unknown) => {
      if (summary.missed) return false;
      throw error;
    });
    if (!isDone) return undefined;
    below = tree;
  }
  return { tree: below, summary };
}
