import { closeSync, openSync } from 'node:fs';
import {
  diffLayer as diff,
  DirectoryWriter,
  recompressLayer as recompress,
  Stubs,
  treeDifference,
  writeEntries,
} from '../layer/index.ts';
import { syncfs } from '../sys/index.ts';
import { checksumAndList, LayersTree, toByteString, type TreeListing } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type {
  ChecksumParams,
  DiffLayerParams,
  DiffTreesParams,
  PackedBlob,
  RecompressLayerParams,
} from './layer-methods.ts';
import { layerSink } from './layer-sink.ts';
import { prepareUpper } from './prepare-upper.ts';

/** Makes the blob of a layer's directory. What is no change against the layers below is left out. */
export async function diffLayer(params: DiffLayerParams, context: HandlerContext): Promise<PackedBlob> {
  const { diffId, digest, size } = await diff({
    upper: params.upper,
    lowers: params.lowers,
    idShift: context.config.plan.idShift,
    compression: params.compression,
    sink: layerSink(context),
    signal: context.signal,
    windows: params.windows,
    ...(params.stubs === undefined ? {} : { stubs: new Stubs(params.stubs.map(toByteString)) }),
    ...(params.clampTime === undefined ? {} : { clampTime: params.clampTime }),
    ...(params.clampAfter === undefined ? {} : { clampAfter: params.clampAfter }),
  });
  return { diffId, digest, size };
}

/** Writes the difference of two trees as an overlay upper directory on the lower one. Files are copied: neither tree is mounted. */
export async function diffTrees({ lower, upper, dir }: DiffTreesParams, context: HandlerContext): Promise<void> {
  const { idShift, idCount } = context.config.plan;
  prepareUpper({ dir, lowers: [] }, context);
  const writer = new DirectoryWriter({ target: `${dir}/fs`, lowers: lower, idShift, idCount });
  await writeEntries(treeDifference({ lower, upper, idShift }), writer, { signal: context.signal });
}

/** Makes a blob with another compression of the same layer; the tar within stays, and so does the diff id. */
export async function recompressLayer(params: RecompressLayerParams, context: HandlerContext): Promise<PackedBlob> {
  const { diffId, digest, size } = await recompress({
    blob: params.blob,
    compression: params.from,
    diffId: params.diffId,
    to: params.to,
    sink: layerSink(context),
    signal: context.signal,
  });
  return { diffId, digest, size };
}

/** Content key of paths in a stack. Files are read where they lie, without mounting the stack. */
export function checksum(
  params: ChecksumParams,
  context: HandlerContext,
): { readonly digest: Digest; readonly listing: TreeListing } {
  using tree = new LayersTree(params.layers, { idShift: context.config.plan.idShift });
  return checksumAndList(tree, params.selectors, params.label);
}

/** One syncfs for all layers that were filled: cheaper than an fsync for each of their files. */
export function syncStore(_params: Record<string, never>, context: HandlerContext): void {
  const fd = openSync(context.config.storeRoot, 'r');
  try {
    syncfs(fd);
  } finally {
    closeSync(fd);
  }
}
