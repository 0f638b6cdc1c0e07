import type { PackForm } from '../snapshots/index.ts';
import type { Digest } from '../util/index.ts';

/** Which layers of a build will be wanted as blobs, decided before anything of it runs, so that they are packed as early as possible. */
export interface PackingPlan {
  readonly form: PackForm;
  /** Vertices whose files nobody needs: only the blob of the layer is wanted. */
  readonly blobOnly: ReadonlySet<Digest>;
  /**
   * Vertices whose files nobody needs but file ops that build upon them. Of a stack that is known without its files, only the blobs of these
   * are wanted.
   */
  readonly withoutFiles: ReadonlySet<Digest>;
  /** Vertices that make layers of the results. */
  readonly ahead: ReadonlySet<Digest>;
  /** The cache most likely has nothing of this build, so that packing need not wait for its answer. */
  readonly isNews: boolean;
}
