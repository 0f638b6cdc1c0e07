import type { PackForm } from '../../snapshots/index.ts';
import type { Digest } from '../../util/index.ts';
import type { OpPieces } from '../pieces.ts';
import { type LayersResult, snapshot } from '../result.ts';

/** A blob in the store that is the layer of a file op. */
export interface PackedOp {
  readonly diffId: Digest;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly warnings: readonly string[];
}

/** What the store keeps with a layer about where it comes from. */
export interface LayerOrigin {
  readonly description: string;
  readonly type: 'regular' | 'source.local' | 'source.http' | 'source.git.checkout';
}

/** Makes a blob a layer on top of others. @param parents bottom first */
export function packedResult(
  { snapshots, report }: Pick<OpPieces, 'snapshots' | 'report'>,
  packed: PackedOp,
  form: PackForm,
  parents: readonly string[],
  origin: LayerOrigin,
): LayersResult {
  for (const warning of packed.warnings) report.warn(warning);
  const id = snapshots.layers.createPacked(
    { parents, ...origin },
    { ...packed, compression: form.kind, level: form.level },
  );
  return snapshot([...parents, id]);
}
