import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { ApplyLayerParams } from './layer-methods.ts';
import type { UnpackedLayer } from './layer-unpacks.ts';

/** The call of the same name: unpacks a layer. @throws TsbuildError `TSB_INTERNAL` in a thread, which must not wait for others */
export async function applyLayer(
  params: ApplyLayerParams,
  context: HandlerContext,
): Promise<UnpackedLayer | undefined> {
  if (!context.unpacks) throw new TsbuildError('TSB_INTERNAL', 'Layers are not unpacked from a thread');
  return (await context.unpacks()).unpack(params, context.signal);
}
