import type { Task } from '../../events/index.ts';
import type { Mount } from '../../llb/index.ts';
import type { Digest } from '../../util/index.ts';

/** Cache mounts that go from machine to machine. Nothing of it can fail a step, and nothing is part of any key. */
export interface MountTravel {
  /** A step begins to be prepared: what it and the steps after it mount is fetched beside it. */
  begin(vertex: Digest): void;
  /**
   * Resolves when a mount of a step has come from elsewhere, or is not going to; for the one that waits, that is after a while at the latest.
   * @param id of its directory in the store, which is not there, or empty, until then
   */
  arrive(task: Task, vertex: Digest, mount: Mount, id: string): Promise<void>;
}
