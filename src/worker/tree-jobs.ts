import { writeRootfsDirectory, writeRootfsTar } from '../rootfs/index.ts';
import { encodeSummary, LayersTree } from '../tree/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { WriteTreeParams } from './layer-methods.ts';

/** Writes the merged files of a result as one tar, with the owners that the image has. */
export function writeTreeTar(params: WriteTreeParams, context: HandlerContext): void {
  writeRootfsTar(params.path, options(params, context), () => context.signal.throwIfAborted());
}

/**
 * Copies the merged files of a result to a directory of the caller's. `delete` removes what is not part of the
 * result.
 */
export function writeTreeDirectory(
  params: WriteTreeParams & { readonly mode: 'copy' | 'delete' },
  context: HandlerContext,
): void {
  writeRootfsDirectory(params.path, { ...options(params, context), mode: params.mode }, () =>
    context.signal.throwIfAborted(),
  );
}

/** The summary of the merged tree of layers, for who will copy onto it without having them. */
export function summarizeTree(
  { layers }: { readonly layers: readonly string[] },
  { config, signal }: HandlerContext,
): Uint8Array | undefined {
  signal.throwIfAborted();
  using tree = new LayersTree(layers, { idShift: config.plan.idShift });
  return encodeSummary(tree);
}

/** On disk ids are shifted for root's builds; outputs have the image's own. */
function options({ trees, epoch }: WriteTreeParams, { config }: HandlerContext): Parameters<typeof writeRootfsTar>[1] {
  return { trees, idShift: config.plan.idShift, ...(epoch === undefined ? {} : { epoch }) };
}
