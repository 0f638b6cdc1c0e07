import type { Task } from '../../events/index.ts';
import { decodeSummary } from '../../tree/index.ts';
import { type Digest, messageOf, TsbuildError } from '../../util/index.ts';
import type { StepPlace } from '../steps/place.ts';
import type { Policy } from '../steps/policy.ts';
import { TREE_RECORD_TYPE } from '../steps/record.ts';
import { openTrusted } from '../steps/trusted.ts';
import { decodeTreeRecord, treeRecordName } from './record.ts';

/**
 * The summary of a base image's tree; undefined when the place has none. It is asked for with one request.
 * @throws TsbuildError `TSB_IMAGE` when it is damaged, or of nobody who is trusted; what the place throws
 */
export async function findTreeSummary(
  task: Task,
  place: StepPlace,
  policy: Policy,
  chain: Digest,
): Promise<Uint8Array | undefined> {
  const name = treeRecordName(chain);
  const bytes = await place.record(task, name);
  if (bytes === undefined) return undefined;
  const what = `record ${name} of cache ${place.id} (${place.scope})`;
  const payload = openTrusted(bytes, what, policy.keysFor(place.scope), [TREE_RECORD_TYPE]);
  const { summary } = decodeTreeRecord(payload, { scope: place.scope, chain }, what);
  try {
    decodeSummary(summary);
  } catch (error) {
    throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: ${messageOf(error)}`, { cause: error });
  }
  return summary;
}
