import type { Task } from '../../events/index.ts';
import type { Digest } from '../../util/index.ts';

/** Where summaries of base images come from. */
export interface BaseSummaries {
  /** The summary of the tree with this chain ID; undefined where nobody has one. Never rejects but with the task's end. */
  find(task: Task, chain: Digest): Promise<Uint8Array | undefined>;
  /** An op was done upon a base image: who makes summaries may see to it that there is one. @param layers bottom first */
  wanted(chain: Digest, layers: readonly string[]): void;
}
