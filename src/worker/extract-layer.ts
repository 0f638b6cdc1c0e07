import { LayerTarget } from '../layer/index.ts';
import { readRing } from './byte-ring.ts';
import { awaitCompletion } from './completion.ts';
import type { ExtractedFiles, ExtractLayerParams } from './extract-params.ts';
import type { HandlerContext } from './handler-context.ts';

/**
 * Writes the files of a layer while another thread decompresses it.
 * @returns undefined when a layer below was needed and could not be unpacked; the directory is empty then, as after an error
 */
export function extractLayer(params: ExtractLayerParams, context: HandlerContext): ExtractedFiles | undefined {
  const { target, lowers, unfinished, windows } = params;
  const { signal } = context;
  const { idShift, idCount } = context.config.plan;
  const awaitLowers = (): void => {
    for (const work of unfinished) if (!awaitCompletion(work, signal)) throw new LowerFailed();
  };
  try {
    using layer = new LayerTarget({ target, lowers, awaitLowers, idShift, idCount, windows });
    for (const piece of readRing(params.tar, signal)) layer.push(piece);
    const { bytes, inodes } = layer.finish();
    return { bytes, inodes };
  } catch (error) {
    if (error instanceof LowerFailed || (error instanceof Error && error.cause instanceof LowerFailed))
      return undefined;
    throw error;
  }
}

class LowerFailed extends Error {
  override readonly name = 'LowerFailed';
}
