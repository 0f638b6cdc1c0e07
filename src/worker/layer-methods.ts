import type { FileInput, KnownBase } from '../fileop/index.ts';
import type { FileAction } from '../llb/index.ts';
import type { Selector, TreeListing } from '../tree/index.ts';
import type { Compression, LayerCompression } from '../image/index.ts';
import type { Digest } from '../util/index.ts';

/** Methods on layers: between blobs and directories, file ops, checksums. */
export interface LayerMethods {
  /**
   * Unpacks a blob into an empty layer directory. Layers below are complete, or calls for them were made before and have not
   * been answered; undefined when one of these failed, and was needed.
   */
  applyLayer(
    params: ApplyLayerParams,
  ): { readonly diffId: Digest; readonly bytes: number; readonly inodes: number } | undefined;
  /** Writes a layer blob of the store in another compression. */
  recompressLayer(params: RecompressLayerParams): PackedBlob;
  /** Packs a layer directory to a blob in the store. */
  diffLayer(params: DiffLayerParams): PackedBlob;
  /** Fills an empty layer directory with what has to be laid on one stack to get another. */
  diffTrees(params: DiffTreesParams): void;
  /** Puts a mask beside each of these layers that takes something away, where there is none: see `masksOf`. */
  maskLayers(params: { readonly dirs: readonly string[] }): void;
  /** Runs a file op; each layer that it makes fills one of the slots, in order. */
  fileOp(params: FileOpCall): FileOpOutcome;
  /** Runs a file op straight to a layer blob, without writing files; undefined when that is not possible. */
  packFileOp(params: PackFileOpCall): PackedFileOp | undefined;
  /** The summary of the merged tree of layer directories (see `encodeSummary`); undefined for one that is too large. */
  summarizeTree(params: { readonly layers: readonly string[] }): Uint8Array | undefined;
  /** Content key of selected paths of a layer stack, and what is there. */
  checksum(params: ChecksumParams): { readonly digest: Digest; readonly listing: TreeListing };
  /** Makes the directory of a cache mount usable by steps; a new one starts with the files of a layer stack. */
  prepareCacheMount(params: { readonly dir: string; readonly lowers: readonly string[] }): void;
  /** Writes merged trees as one tar to an existing file. */
  writeTreeTar(params: WriteTreeParams): void;
  /** Copies merged trees into an existing directory, owned by the invoking user. */
  writeTreeDirectory(params: WriteTreeParams & { readonly mode: 'copy' | 'delete' }): void;
  /** Flushes the store's file system to disk. */
  syncStore(params: Record<string, never>): void;
}

/** A blob to unpack, and where. */
export interface ApplyLayerParams {
  /** Path of the blob. */
  readonly blob: string;
  /** The file that it is in while it is still being fetched. It is fetched to its end, or the call is canceled. */
  readonly growing?: string;
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly compression: Compression;
  /** What must come out. */
  readonly diffId?: Digest;
  /** Layer directories below, bottom first. */
  readonly lowers: readonly string[];
  /** The empty directory. */
  readonly target: string;
  /** The layer is one of a Windows image. */
  readonly windows: boolean;
}

/** A blob to write anew. */
export interface RecompressLayerParams {
  /** Path of the blob, and what it is compressed with. */
  readonly blob: string;
  readonly from: Compression;
  readonly diffId: Digest;
  readonly to: LayerCompression;
}

/** A directory to pack. */
export interface DiffLayerParams {
  /** The layer's directory: an overlay upper directory. */
  readonly upper: string;
  readonly lowers: readonly string[];
  readonly compression: LayerCompression;
  /** Seconds since the epoch that later times become. */
  readonly clampTime?: number;
  /** Seconds since the epoch after which earlier ones become it too. */
  readonly clampAfter?: number;
  /** Give the blob the form of layers of Windows images. */
  readonly windows: boolean;
  /** Paths that were made for mounts, without a leading slash. */
  readonly stubs?: readonly string[];
}

/** Two stacks of layer directories, bottom first, and the layer to fill: one on top of `lower`. */
export interface DiffTreesParams {
  readonly lower: readonly string[];
  readonly upper: readonly string[];
  readonly dir: string;
}

/** A layer blob in the store. */
export interface PackedBlob {
  readonly diffId: Digest;
  readonly digest: Digest;
  readonly size: number;
}

/** A file op with its inputs as directories. */
export interface FileOpCall {
  readonly actions: readonly FileAction[];
  readonly inputs: readonly FileInput[];
  /** Nanoseconds since the epoch: the time of what has none of its own. */
  readonly now: bigint;
  /** Prepared layers, as many as the op can make. */
  readonly slots: readonly { readonly dir: string; readonly fs: string; readonly work: string }[];
}

/** What a file op made. */
export interface FileOpOutcome {
  /** The layer directory of each output and those below it, bottom first. */
  readonly outputs: readonly { readonly lowers: readonly string[]; readonly layer: string }[];
  readonly warnings: readonly string[];
}

/** A file op whose result is wanted as a blob. */
export interface PackFileOpCall {
  readonly actions: readonly FileAction[];
  readonly inputs: readonly (FileInput | KnownBase)[];
  readonly now: bigint;
  readonly compression: LayerCompression;
  readonly clampTime?: number;
  /** Hash the files of contexts on the way. */
  readonly learn?: boolean;
}

/** The blob of a file op. */
export interface PackedFileOp extends PackedBlob {
  readonly warnings: readonly string[];
  /** With `learn`, for each input that is a context: the digests of the files that were read (`takeDigests` of src/tree). */
  readonly learned: readonly (Uint8Array | undefined)[];
}

/** What of a stack is to be hashed. */
export interface ChecksumParams {
  readonly layers: readonly string[];
  readonly selectors: readonly Selector[];
  /** Names the tree in errors. */
  readonly label: string;
}

/** Merged trees and where in the output each goes. */
export interface WriteTreeParams {
  /** The file or directory, on the host. */
  readonly path: string;
  readonly trees: readonly {
    /** Layer directories, bottom first. */
    readonly layers: readonly string[];
    /** A directory of the output. */
    readonly prefix?: string;
    /** Names the tree in messages. */
    readonly label: string;
  }[];
  /** Seconds since the epoch that later times become. */
  readonly epoch?: number;
}
