import type { ContextTree, EncodedContext } from '../tree/index.ts';
import type { FileAction } from '../llb/index.ts';

/** What a file op reads or builds upon. */
export type FileInput =
  | { readonly kind: 'context'; readonly context: EncodedContext }
  /** Layer directories, bottom first; none is scratch. */
  | { readonly kind: 'layers'; readonly layers: readonly string[] };

/** What a file op reads when it runs in the process that has the context. */
export type OpenInput = FileInput | { readonly kind: 'tree'; readonly tree: ContextTree };

/**
 * What a file op builds upon where no file of that is here: the summary of a tree, and the ops that were done to it since. They are done
 * again in memory, which reads no content.
 */
export interface KnownBase<I extends OpenInput = FileInput> {
  readonly kind: 'known';
  /** See `encodeSummary`. */
  readonly summary: Uint8Array;
  /** The first one stands on the summary, the others on each other. */
  readonly above: readonly AppliedOp<I>[];
}

/** A file op that was done. */
export interface AppliedOp<I extends OpenInput = FileInput> {
  readonly actions: readonly FileAction[];
  /** That which it builds upon is another `KnownBase`, of which only the kind counts. */
  readonly inputs: readonly (I | Pick<KnownBase, 'kind'>)[];
  readonly now: bigint;
}

/** A file op with its inputs, as it is sent to the worker. */
export interface FileOpParams {
  readonly actions: readonly FileAction[];
  readonly inputs: readonly FileInput[];
  /** Added to image ids on disk. */
  readonly idShift: number;
  /** Ids from here on cannot be stored; see `FsTreeOptions.idLimit` for the default. */
  readonly idCount?: number;
  /** The time of new directories and files without one of their own, nanoseconds since the epoch. */
  readonly now: bigint;
}

/** A new layer that is being written. */
export interface WritableRoot {
  /** The mounted root. */
  readonly path: string;
  /** The directory that holds the layer: the overlay's upper directory, or `path` itself on scratch. */
  readonly layer: string;
  /** Unmounts it; the layer is complete. */
  freeze(): void;
  /** Unmounts it and removes the layer. */
  discard(): void;
}

/** What `runFileActions` needs from the worker. */
export interface FileOpHost {
  /** A new writable layer on top of layer directories (bottom first). */
  createRoot(layers: readonly string[]): WritableRoot;
}

/** One output of a file op: a layer on top of others. Frozen. */
export interface FileOpOutput {
  /** Directories below the new layer, bottom first. */
  readonly lowers: readonly string[];
  readonly root: WritableRoot;
}

/** What the actions of an op made. */
export interface FileOpResult {
  /** In the order of the op's outputs. */
  readonly outputs: readonly FileOpOutput[];
  /** Things the user should know, e.g. an owner name that is not in the image. */
  readonly warnings: readonly string[];
}
