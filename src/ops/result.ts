import type { ContextTree } from '../tree/index.ts';

/** What an op produces. Both kinds are plain values: the build's lease keeps the layers. */
export type OpResult = LayersResult | LocalResult;

/** A snapshot: layer ids, bottom first; none is scratch. */
export interface LayersResult {
  readonly kind: 'layers';
  readonly layers: readonly string[];
}

/** A directory of the host, walked but not copied. */
export interface LocalResult {
  readonly kind: 'local';
  readonly tree: ContextTree;
}

/** The empty tree. */
export const scratch: LayersResult = { kind: 'layers', layers: [] };

/** A snapshot of the given layers. */
export function snapshot(layers: readonly string[]): LayersResult {
  return { kind: 'layers', layers };
}
