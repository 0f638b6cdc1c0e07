import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pLimit from 'p-limit';
import type { Task } from '../../events/index.ts';
import { verifiedStream } from '../../image/index.ts';
import { type Digest, hexOf } from '../../util/index.ts';
import type { VerifyKey } from '../steps/keys.ts';
import type { StepPlace } from '../steps/place.ts';
import type { Policy } from '../steps/policy.ts';
import { MOUNT_RECORD_TYPE } from '../steps/record.ts';
import { openTrusted } from '../steps/trusted.ts';
import { decodeMountRecord, type MountBlob, type MountName, mountRecordName, type MountRecord } from './record.ts';

/** Blobs that are fetched at a time. */
const TRANSFERS = 4;

/** Who may have written what is used: a policy, or keys. */
export type Trust = Policy | { readonly keys: readonly VerifyKey[] };

/**
 * The record of a mount; undefined when there is none.
 * @throws TsbuildError `TSB_IMAGE` when it is damaged, or of nobody who is trusted; what the place throws
 */
export async function findMount(
  task: Task,
  place: StepPlace,
  trust: Trust,
  mount: MountName,
): Promise<MountRecord | undefined> {
  const name = mountRecordName(mount);
  const bytes = await place.record(task, name);
  if (bytes === undefined) return undefined;
  const what = `record ${name} of cache ${place.id} (${place.scope})`;
  const keys = 'keys' in trust ? trust.keys : trust.keysFor(place.scope);
  const payload = openTrusted(bytes, what, keys, [MOUNT_RECORD_TYPE]);
  return decodeMountRecord(payload, { scope: place.scope, name }, what);
}

/**
 * Fetches blobs of a mount into files of a directory, each held against its digest.
 * @param onProgress told how many bytes came
 * @returns the files, by digest
 * @throws TsbuildError `TSB_DIGEST`, and what the place throws
 */
export async function fetchMountBlobs(
  task: Task,
  place: StepPlace,
  blobs: readonly MountBlob[],
  dir: string,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<ReadonlyMap<Digest, string>> {
  const content = place.content(task);
  const limit = pLimit(TRANSFERS);
  const files = new Map<Digest, string>();
  for (const { digest } of blobs) files.set(digest, join(dir, hexOf(digest)));
  const unique = new Map(blobs.map((blob) => [blob.digest, blob]));
  await Promise.all(
    [...unique.values()].map((blob) =>
      limit(async () => {
        task.signal.throwIfAborted();
        const stream = verifiedStream(content, blob, `cache ${place.id}`);
        const counted = async function* (): AsyncGenerator<Uint8Array> {
          for await (const chunk of stream) {
            onProgress(chunk.length);
            // Chunks are only valid until the next one, and the file is written beside.
            yield Buffer.from(chunk);
          }
        };
        const file = createWriteStream(files.get(blob.digest) ?? '', { flags: 'wx', mode: 0o600 });
        await pipeline(Readable.from(counted()), file, { signal: task.signal });
      }),
    ),
  );
  return files;
}
