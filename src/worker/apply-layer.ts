import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { ApplyLayerParams } from './layer-methods.ts';
import type { UnpackedLayer } from './layer-unpacks.ts';

export async function applyLayer(
  params: ApplyLayerParams,
  context: HandlerContext,
): Promise<UnpackedLayer | undefined> {
  if (!context.unpacks) throw new TsbuildError('TSB_INTERNAL', 'Layers are not unpacked from a thread');
  return (await context.unpacks()).unpack(params, context.signal);
}
