import { writeRootfsDirectory, writeRootfsTar } from '../rootfs/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { WriteTreeParams } from './layer-methods.ts';

export function writeTreeTar(params: WriteTreeParams, context: HandlerContext): void {
  writeRootfsTar(params.path, options(params, context), () => context.signal.throwIfAborted());
}

export function writeTreeDirectory(
  params: WriteTreeParams & { readonly mode: 'copy' | 'delete' },
  context: HandlerContext,
): void {
  writeRootfsDirectory(params.path, { ...options(params, context), mode: params.mode }, () =>
    context.signal.throwIfAborted(),
  );
}

function options({ trees, epoch }: WriteTreeParams, { config }: HandlerContext): Parameters<typeof writeRootfsTar>[1] {
  return { trees, idShift: config.plan.idShift, ...(epoch === undefined ? {} : { epoch }) };
}
