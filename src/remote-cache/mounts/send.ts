import { createReadStream } from 'node:fs';
import type { PackedTree } from '../../chunks/index.ts';
import { type Task, together } from '../../events/index.ts';
import { seal } from '../steps/envelope.ts';
import type { SigningKey } from '../steps/keys.ts';
import type { LayerToPut, StepPlace } from '../steps/place.ts';
import { type Author, MOUNT_RECORD_TYPE } from '../steps/record.ts';
import { encodeMountRecord, type MountBlob, type MountName, mountRecordName, packBlob, treeBlob } from './record.ts';

/** Where a mount goes, and in whose name. */
export interface MountTarget {
  readonly place: StepPlace;
  readonly key?: SigningKey;
  readonly author: Author;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A pack that was to be used again is not there any more: somebody deleted it. Everything has to be sent. */
export class PackGone extends Error {
  override readonly name = 'PackGone';
}

/**
 * Sends what is not there of a mount, and then the record that names it, which takes the place of the one before.
 * @param again also what is there already: it is damaged
 * @returns bytes that were sent
 * @throws PackGone; TsbuildError `TSB_EXPORT` for what no reader takes; what the place throws
 */
export async function sendMount(
  task: Task,
  { place, key, author, now }: MountTarget,
  mount: MountName,
  { tree, made, kept, bytes, files }: PackedTree,
  again: boolean,
): Promise<number> {
  const name = mountRecordName(mount);
  const packs = [...kept, ...made].map(packBlob);
  const common = { scope: place.scope, name, mount, writtenAt: Math.trunc(now()), author, bytes, files };
  // Before anything is sent: what cannot be named is not kept.
  const record = encodeMountRecord({ ...common, tree: treeBlob(tree), packs });
  let sent = 0;
  const put = async (inner: Task, layer: LayerToPut): Promise<void> => {
    if ((await place.putLayer(inner, layer, again)) === 'sent') sent += layer.size;
  };
  let isGone = false;
  const onGone = (): void => {
    isGone = true;
  };
  const layers = [...kept.map((pack) => keptLayer(pack, onGone)), ...made.map(fileLayer), fileLayer(tree)];
  await together(task, layers, put).catch((error: unknown) => {
    // Whoever sends has words of its own for what reading gave it.
    throw isGone ? new PackGone() : error;
  });
  await place.putRecord(task, name, seal(record, key, MOUNT_RECORD_TYPE), [treeBlob(tree), ...packs], true);
  await place.flush?.(task);
  return sent;
}

/** What is used is kept from expiring. */
export async function touchMount(
  task: Task,
  place: StepPlace,
  name: string,
  blobs: readonly MountBlob[],
): Promise<void> {
  await place.touch?.(
    task,
    [name],
    blobs.map(({ digest }) => digest),
  );
  await place.flush?.(task);
}

/** One that should be there; its bytes are nowhere else. */
function keptLayer({ digest, size }: Pick<MountBlob, 'digest' | 'size'>, onGone: () => void): LayerToPut {
  return {
    digest,
    size,
    mountFrom: () => [],
    // oxlint-disable-next-line require-yield -- nothing to give
    async *open() {
      onGone();
      throw new PackGone();
    },
  };
}

function fileLayer({ path, digest, size }: { readonly path: string } & Pick<MountBlob, 'digest' | 'size'>): LayerToPut {
  return {
    digest,
    size,
    mountFrom: () => [],
    async *open(start) {
      for await (const chunk of createReadStream(path, { start })) yield chunk as Buffer;
    },
  };
}
