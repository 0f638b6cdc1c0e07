import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PackedTree } from '../../chunks/index.ts';
import type { ReportStatus, Task } from '../../events/index.ts';
import {
  fetchMountBlobs,
  findMount,
  type MountName,
  mountRecordName,
  type MountRecord,
  type MountTarget,
  PackGone,
  readSigningKey,
  sendMount,
  type StepCacheExport,
  touchMount,
  travels,
  type TravelingMounts,
  trustAll,
} from '../../remote-cache/index.ts';
import { formatBytes, isTsbuildError } from '../../util/index.ts';
import { shownMount } from './mount-names.ts';
import type { FoundMount, MountRestores } from './mount-restores.ts';
import { withScratch } from '../scratch.ts';
import type { Session } from '../session.ts';
import { openPlace } from '../caches/step-caches.ts';

/** How long a build waits for another one that has a mount for itself, in ms. */
const LOCK_MS = 10_000;
/** What is used is kept from expiring when it was written so long ago and nothing else is said. */
const TOUCH_MS = 24 * 60 * 60_000;
const MAX_ENTRIES = 500_000;

/** A cache mount of the store that is to be sent. */
export interface MountToSend {
  /** Of its directory in the store. */
  readonly id: string;
  readonly name: MountName;
}

/** What came of sending a mount. */
export interface SentMount {
  readonly mount: MountName;
  /** Bytes that were sent; undefined when what is there is the same. */
  readonly sent: number | undefined;
  readonly packed: PackedTree;
}

/** Where mounts go, and what is known of that place. */
export interface MountDestination {
  readonly target: MountTarget;
  readonly limits: TravelingMounts;
  readonly touchMs: number;
  /** Where a mount was restored from in this build. */
  readonly found?: (name: MountName) => FoundMount | undefined;
  readonly isDamaged?: (name: MountName) => boolean;
}

/** The destination that a `--cache-to` names; undefined when it takes no mounts. */
export function mountDestination(
  session: Session,
  spec: StepCacheExport,
  restores?: MountRestores,
): MountDestination | undefined {
  if (spec.mounts === undefined) return undefined;
  const place = openPlace(session, spec.place, spec.scope);
  const key = spec.keyFile === undefined ? {} : { key: readSigningKey(spec.keyFile) };
  return {
    target: { place, author: spec.author, now: session.now, ...key },
    limits: spec.mounts,
    touchMs: spec.touchMs ?? TOUCH_MS,
    ...(restores && {
      found: (name: MountName) => restores.found.get(mountRecordName(name)),
      isDamaged: (name: MountName) => restores.isDamaged(place, name),
    }),
  };
}

/** Sends the mounts that the steps of a build have used. @throws what keeps one from being sent, once all were tried */
export async function exportMounts(
  session: Session,
  task: Task,
  destination: MountDestination,
  used: ReadonlyMap<string, MountName>,
  status: ReportStatus,
): Promise<void> {
  let failure: Error | undefined;
  for (const [id, name] of used) {
    if (!travels(destination.limits, name.id)) continue;
    session.store.mounts.setElsewhere(id, JSON.stringify(name));
    try {
      const { sent, packed } = await exportMount(session, task, destination, { id, name });
      status(`cache mount ${shownMount(name)}: ${describeSent(sent, packed)}`, 0, undefined, true);
    } catch (error) {
      task.signal.throwIfAborted();
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }
  if (failure !== undefined) throw failure;
}

/** What was sent of a mount, in a few words. */
export function describeSent(sent: number | undefined, { files, bytes, changing, skipped }: PackedTree): string {
  const left = [
    ...(changing > 0 ? [`${changing} files left out that somebody writes`] : []),
    ...(skipped > 0 ? [`${skipped} devices and sockets left out`] : []),
  ];
  const what =
    sent === undefined ? 'as it is there' : `sent ${formatBytes(sent)} of ${formatBytes(bytes)} in ${files} files`;
  return [what, ...left].join(', ');
}

/**
 * Sends a mount, as it is when nobody has it for himself. What the place has already is not sent again.
 * @throws TsbuildError `TSB_STORE` when another command does not let go of it; `TSB_EXPORT` when it is too large; what the place throws
 */
export async function exportMount(
  session: Session,
  task: Task,
  destination: MountDestination,
  mount: MountToSend,
): Promise<SentMount> {
  const { store } = session;
  await using _lock = await store.lock(`mount-${mount.id}`, { signal: task.signal, timeoutMs: LOCK_MS });
  return await withScratch(session, async (work) => {
    const base = await findBase(task, destination, mount.name, work);
    try {
      return await packAndSend(session, task, destination, mount, { base, work: join(work, 'packs') });
    } catch (error) {
      // Whoever deletes what is old may not know what a mount stands on; and a tree of somebody else may be nonsense.
      if (!(error instanceof PackGone) && !isTsbuildError(error, 'TSB_IMAGE')) throw error;
      return packAndSend(session, task, destination, mount, { base: undefined, work: join(work, 'all') });
    }
  });
}

/** What a place has of a mount. */
interface Base {
  readonly record: MountRecord;
  /** The tree, in a file. */
  readonly path: string;
  /** It is of the scope that is written to. */
  readonly isOwn: boolean;
}

/** The tree that is there; of another scope of the place, where this one has none. What cannot be used is as good as none. */
async function findBase(
  task: Task,
  { target, found, isDamaged }: MountDestination,
  name: MountName,
  work: string,
): Promise<Base | undefined> {
  if (isDamaged?.(name)) return undefined;
  const { place, key } = target;
  // Whoever signs builds on what he has signed himself.
  const trust = key === undefined ? trustAll : { keys: [key] };
  const other = found?.(name);
  try {
    const own = await findMount(task, place, trust, name);
    const record = own ?? (other?.place.id === place.id ? other.record : undefined);
    if (record === undefined) return undefined;
    const files = await fetchMountBlobs(task, place, [record.tree], work);
    return { record, path: files.get(record.tree.digest) ?? '', isOwn: own !== undefined };
  } catch (error) {
    task.signal.throwIfAborted();
    if (isTsbuildError(error, 'TSB_REGISTRY') || isTsbuildError(error, 'TSB_NETWORK')) throw error;
    return undefined;
  }
}

async function packAndSend(
  session: Session,
  task: Task,
  { target, limits, touchMs, isDamaged }: MountDestination,
  { id, name }: MountToSend,
  { base, work }: { readonly base: Base | undefined; readonly work: string },
): Promise<SentMount> {
  const { store, now } = session;
  const { fs: dir, memory } = store.mounts.paths(id);
  mkdirSync(work);
  const worker = await session.worker();
  const packed = await worker.call(
    'packMount',
    {
      dir,
      memory,
      into: work,
      limits: { bytes: limits.maxBytes, entries: MAX_ENTRIES },
      now: now(),
      ...(base && { base: { path: base.path, what: `cache mount ${shownMount(name)} of ${target.place.id}` } }),
    },
    { signal: task.signal },
  );
  if (base?.isOwn && base.record.tree.digest === packed.tree.digest) {
    const { tree, packs, writtenAt } = base.record;
    if (now() - writtenAt >= touchMs) await touchMount(task, target.place, mountRecordName(name), [tree, ...packs]);
    return { mount: name, sent: undefined, packed };
  }
  const sent = await sendMount(task, target, name, packed, isDamaged?.(name) ?? false);
  return { mount: name, sent, packed };
}
