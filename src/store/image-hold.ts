import type { Descriptor } from '../image/index.ts';
import { imageBlobs } from './image-graph.ts';
import type { Lease } from './leases.ts';
import type { Store } from './store.ts';

/**
 * Holds all that an image consists of, for who reads it for a while: its name may go meanwhile, and what nobody holds goes with the next prune.
 * What is there afterwards stays.
 */
export function holdImage({ blobs }: Pick<Store, 'blobs'>, lease: Lease, root: Descriptor): void {
  // In this order: what is read to find the others must not go in between.
  lease.hold({ blobs: [root.digest] });
  lease.hold({ blobs: imageBlobs(blobs, root).blobs.keys() });
}
