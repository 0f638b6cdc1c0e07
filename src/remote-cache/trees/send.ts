import type { Task } from '../../events/index.ts';
import type { Digest } from '../../util/index.ts';
import { seal } from '../steps/envelope.ts';
import type { SigningKey } from '../steps/keys.ts';
import type { StepPlace } from '../steps/place.ts';
import { type Author, TREE_RECORD_TYPE } from '../steps/record.ts';
import { encodeTreeRecord, treeRecordName } from './record.ts';

/** Where summaries go, and in whose name. */
export interface TreeTarget {
  readonly place: StepPlace;
  readonly key?: SigningKey;
  readonly author: Author;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Sends the summary of a base image's tree. One that is there is of the same tree, and is kept from expiring.
 * @param again also when there is one: it cannot be used
 * @returns whether it was sent
 * @throws TsbuildError `TSB_EXPORT` when it is larger than readers take; what the place throws
 */
export async function sendTreeSummary(
  task: Task,
  { place, key, author, now }: TreeTarget,
  { chain, summary }: { readonly chain: Digest; readonly summary: Uint8Array },
  again: boolean,
): Promise<boolean> {
  const name = treeRecordName(chain);
  const record = { scope: place.scope, name, chain, writtenAt: Math.trunc(now()), author, summary };
  const envelope = seal(encodeTreeRecord(record), key, TREE_RECORD_TYPE);
  const isSent = await place.putRecord(task, name, envelope, [], again);
  if (!isSent) await place.touch?.(task, [name], []);
  return isSent;
}
