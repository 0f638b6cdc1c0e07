import { familiarReference, parseReference } from '../../image/index.ts';
import type { Store } from '../../store/index.ts';
import { isTsbuildError, suggest, TsbuildError } from '../../util/index.ts';

/**
 * The error of an image that could not be had, with what the user may have meant: a name of the local image store that is near, or how an
 * image comes into a store without a network. Other errors as they are.
 * @param reference normalised
 */
export function withImageHint(error: unknown, store: Store, reference: string): unknown {
  const missing = ['TSB_NETWORK', 'TSB_NOT_FOUND', 'TSB_REGISTRY'] as const;
  if (!isTsbuildError(error) || reference.includes('://') || !missing.some((code) => error.code === code)) return error;
  // Who is not let in wants no other name.
  if (error.code === 'TSB_REGISTRY' && error.hint !== undefined) return error;
  const hint =
    nearName(store, reference) ?? (error.hint === undefined && error.code === 'TSB_NETWORK' ? OFFLINE : undefined);
  if (hint === undefined) return error;
  return new TsbuildError(error.code, error.message, { hint, cause: error });
}

const OFFLINE =
  'without that registry: bring the image with "tsbuild import FILE -t NAME", or configure a mirror in registries.conf';

function nearName(store: Store, reference: string): string | undefined {
  const familiar = (name: string): string => familiarReference(parseReference(name));
  const names = store.images.list().map(({ name }) => familiar(name));
  const near = suggest(
    familiar(reference),
    names.filter((name) => name !== familiar(reference)),
  );
  return near === undefined ? undefined : `did you mean ${JSON.stringify(near)}, which is in the local image store?`;
}
