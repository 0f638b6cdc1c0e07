import type { Row } from './database.ts';
import { plain, rowSum } from './row-sum.ts';

/** What a row of `layers` says, but for sizes and the time of last use. */
export function layerSum(row: Readonly<Row>): number {
  const { id, parents, diff_id, fs: directory, synced, boot_id, stamp, type, description, created_at } = row;
  return rowSum(
    'layers',
    ...[id, parents, diff_id, directory, synced, boot_id, stamp, type, description, created_at].map(plain),
  );
}

/** Whether a row of `layers` says what was written into it. */
export function isSound(row: Row): boolean {
  return row['sum'] === layerSum(row);
}

/** Whether a row of `layer_blobs` says what was written into it. */
export function isSoundBlob(row: Row): boolean {
  const { layer, digest, compression, media_type, size } = row;
  return row['sum'] === rowSum('layer_blobs', ...[layer, digest, compression, media_type, size].map(plain));
}
