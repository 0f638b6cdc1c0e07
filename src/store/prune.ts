import fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Digest } from '../util/index.ts';
import { collectUnderLock, emptyGarbage } from './garbage.ts';
import { discard } from './layers.ts';
import type { LeaseKind } from './leases.ts';
import { ownBytes } from './overhead.ts';
import { isFull } from './reserve.ts';
import type { Store } from './store.ts';
import type { PruneOptions, PruneReport, RemoveTrees, UsageRecord } from './types.ts';
import { blobsOfImages, type Survey, survey, type SurveyEntry, sum } from './usage.ts';

/**
 * Records removed in one transaction. Other processes wait for it, so it must stay short (2,000: 40 to 80 ms), but each one also
 * waits for the disk twice and looks through all cache records once: of 64 each, 2,000 took seconds.
 */
const BATCH = 2048;
/** Directories put aside at a time: they are deleted while the next ones are put aside. */
const PIECE = 128;
/** Where the disk is full, the first one: forgetting records takes space itself, some pages of the index for each. */
const FIRST_BATCH = 8;

/**
 * Frees space as `buildctl prune` does. Without `all` it takes every record that no named image uses and that is not
 * internal; with it those too. Never takes what a running build holds, nor blobs of named images. Least recently used
 * records go first. Cache records that name something removed go with it, and before it.
 */
export async function prune(store: Store, options: PruneOptions): Promise<PruneReport> {
  await using _lock = await store.lock('gc', {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onWait ? { onWait: options.onWait } : {}),
  });
  if (options.dryRun) {
    const { records, bytes } = await announce(store, survey(store, options.withoutImages ? [] : undefined), options);
    return { removed: records, freedBytes: bytes, inUseBytes: 0 };
  }
  const garbage = await collectUnderLock(store, options.removeTrees);
  const removed: UsageRecord[] = [];
  let freedBytes = 0;
  let inUseBytes = 0;
  if (garbage.skipped === undefined) {
    const state = survey(store);
    const { victims } = await announce(store, state, options);
    const used = state.entries.filter(({ kind, record }) => kind !== 'image' && record.inUse);
    inUseBytes = sum(used.map(({ record }) => record.size));
    let isTidy = false;
    const tidy = (): void => {
      isTidy = true;
      store.records.removeDeadLinks();
      freedBytes += forgetAccounts(store);
      freedBytes += forget(store, options);
      store.database().shrink();
    };
    let size = BATCH;
    for (let start = 0; start < victims.length; start += size) {
      options.signal?.throwIfAborted();
      const full = isFull(store.root);
      size = full ? FIRST_BATCH : BATCH;
      const isLast = start + size >= victims.length;
      // While the last ones are deleted, which takes longer, unless there is no room for it before.
      const meanwhile = isLast && !full ? tidy : undefined;
      const batch = await removeBatch(store, victims.slice(start, start + size), options.removeTrees, meanwhile);
      removed.push(...batch.removed.map(({ record }) => record));
      freedBytes += batch.freedBytes;
    }
    if (!isTidy) tidy();
  }
  return { removed, freedBytes, inUseBytes, ...(garbage.skipped === undefined ? {} : { skipped: garbage.skipped }) };
}

/** Chooses what goes, and says so. */
async function announce(
  store: Store,
  state: Survey,
  options: PruneOptions,
): Promise<{
  readonly victims: readonly SurveyEntry[];
  readonly records: readonly UsageRecord[];
  readonly bytes: number;
}> {
  const victims = choose(state, options, store.now(), excess(store, state, options));
  const frees = freeing(state);
  const bytes = sum(victims.map(frees));
  const records = victims.map(({ record }) => record);
  await options.onChosen?.(records, bytes);
  return { victims, records, bytes };
}

/** How many bytes each entry gives back when they go in the order asked for: a blob goes with the last that names it. */
function freeing(state: Survey): (entry: SurveyEntry) => number {
  const users = new Map<Digest, number>();
  for (const { blobs } of state.entries) for (const digest of blobs) users.set(digest, (users.get(digest) ?? 0) + 1);
  return ({ directoryBytes, blobs }) => {
    let bytes = directoryBytes;
    for (const digest of blobs) {
      const others = (users.get(digest) ?? 0) - 1;
      users.set(digest, others);
      if (others === 0) bytes += state.blobs.get(digest) ?? 0;
    }
    return bytes;
  };
}

/** How many bytes are to go; undefined where no limit says that some may stay. */
function excess(store: Store, { entries }: Survey, options: PruneOptions): number | undefined {
  const { keepStorageBytes, maxBytes, minFreeBytes, filter } = options;
  const sizeOf = (some: readonly SurveyEntry[]): number => sum(some.map(({ record }) => record.size));
  const over: number[] = [];
  if (keepStorageBytes !== undefined)
    over.push(sizeOf(entries.filter(({ record }) => filter?.(record) ?? true)) - keepStorageBytes);
  if (maxBytes !== undefined) over.push(sizeOf(entries) + ownBytes(store) - maxBytes);
  if (minFreeBytes !== undefined) {
    const { bavail, bsize } = fs.statfsSync(store.root);
    over.push(minFreeBytes - bavail * bsize);
  }
  return over.length === 0 ? undefined : Math.max(...over);
}

/** The records to remove, in order. @param over bytes that are to go; undefined for all that may */
function choose(state: Survey, options: PruneOptions, now: number, over: number | undefined): readonly SurveyEntry[] {
  const candidates = state.entries
    .filter(({ kind, record }) => kind !== 'image' && !record.inUse && (options.filter?.(record) ?? true))
    .filter(({ record }) => options.untilMs === undefined || now - record.usedAt >= options.untilMs)
    .sort((a, b) => a.record.usedAt - b.record.usedAt || b.depth - a.depth);
  const spared = options.all ? [] : candidates.filter((entry) => isProtected(entry, state));
  const first = options.all ? candidates : candidates.filter((entry) => !isProtected(entry, state));
  if (over === undefined) return first;

  // Where the limit is one of space and not of what is worth keeping, what is spared otherwise comes last.
  const isForced = options.maxBytes !== undefined || options.minFreeBytes !== undefined;
  let left = over;
  const frees = freeing(state);
  const victims: SurveyEntry[] = [];
  for (const entry of isForced ? [...first, ...spared] : first) {
    if (left <= 0) break;
    victims.push(entry);
    left -= frees(entry);
  }
  return victims;
}

/** BuildKit spares internal records, frontends and what the image store uses unless `--all` is given. */
function isProtected({ record, blobs }: SurveyEntry, state: Survey): boolean {
  if (record.type === 'internal' || record.type === 'frontend') return true;
  return blobs.some((digest) => state.imageBlobs.has(digest));
}

/** Removes records, and what only they named. The space is free when it resolves. @param meanwhile called while directories are deleted */
async function removeBatch(
  store: Store,
  victims: readonly SurveyEntry[],
  removeTrees: RemoveTrees,
  meanwhile?: () => void,
): Promise<{ readonly removed: readonly SurveyEntry[]; readonly freedBytes: number }> {
  // It comes to be while the index forgets.
  using _helper = victims.some(({ directoryBytes }) => directoryBytes > 0) ? await removeTrees.prepare?.() : undefined;
  const removed = forgetRecords(store, victims);
  let freedBytes = 0;
  const deleting: Promise<void>[] = [];
  try {
    for (let start = 0; start < removed.length; start += PIECE) {
      const put = putAside(store, removed.slice(start, start + PIECE));
      freedBytes += put.freedBytes;
      if (put.directories.length > 0) deleting.push(begun(removeTrees(put.directories)));
      // So that it begins now.
      await setImmediate();
    }
    meanwhile?.();
  } finally {
    // Also after a failure: nobody deletes any more when that is told.
    await Promise.allSettled(deleting);
  }
  await Promise.all(deleting);
  // Where a transaction ran twice, some were put aside by the first.
  await emptyGarbage(store, removeTrees);
  return { removed, freedBytes };
}

/** The same work; that it fails may be heard of later. */
function begun(work: Promise<void>): Promise<void> {
  work.catch(() => undefined);
  return work;
}

/** Takes records out of the index, on disk before anything that they name is gone. @returns those that were not in use */
function forgetRecords(store: Store, victims: readonly SurveyEntry[]): readonly SurveyEntry[] {
  const db = store.database();
  return db.transaction(
    () => {
      const leased = leasedNames(store);
      const free = victims.filter(
        ({ kind, record }) => kind === 'image' || kind === 'log' || kind === 'report' || !leased[kind].has(record.id),
      );
      for (const { kind, record } of free) {
        if (kind === 'layer') store.layers.forget(record.id);
        else if (kind === 'mount') db.prepare('DELETE FROM mounts WHERE id = ?').run(record.id);
        else if (kind === 'blob') store.records.removeByBlob(record.id);
      }
      store.records.removeDangling();
      store.records.advance();
      return free;
    },
    { durable: true },
  );
}

/**
 * Puts directories of removed records aside, and deletes their blobs. Who wanted one in between has a lease or a row by now, which this
 * transaction sees.
 */
function putAside(
  store: Store,
  removed: readonly SurveyEntry[],
): { readonly directories: readonly string[]; readonly freedBytes: number } {
  const db = store.database();
  return db.transaction(() => {
    const leased = leasedNames(store);
    const images = removed.some(({ blobs }) => blobs.length > 0) ? blobsOfImages(store) : new Set<Digest>();
    const byLayer = db.prepare('SELECT 1 AS found FROM layer_blobs WHERE digest = ?');
    const directories: string[] = [];
    let freedBytes = 0;
    for (const { kind, record, directoryBytes, blobs: named } of removed) {
      const directory = directoryOf(store, kind, record.id);
      if (directory !== undefined && !leased[kind === 'mount' ? 'mount' : 'layer'].has(record.id)) {
        const aside = discard(store.layout, directory);
        if (aside !== undefined) directories.push(aside);
        freedBytes += directoryBytes;
      }
      if (kind === 'log' || kind === 'report') {
        store[kind === 'log' ? 'logs' : 'reports'].remove(record.id);
        freedBytes += directoryBytes;
      }
      for (const digest of named) {
        if (images.has(digest) || byLayer.get(digest) || leased.blob.has(digest)) continue;
        freedBytes += store.blobs.info(digest)?.size ?? 0;
        store.blobs.remove(digest);
      }
    }
    return { directories, freedBytes };
  });
}

/** Where the directory of a removed record is; undefined when the record is there again, or never had one. */
function directoryOf(store: Store, kind: SurveyEntry['kind'], id: string): string | undefined {
  if (kind === 'layer') return store.layers.get(id) ? undefined : store.layers.paths(id).dir;
  if (kind === 'mount') return store.mounts.get(id) ? undefined : store.mounts.directory(id);
  return undefined;
}

function leasedNames(store: Store): Readonly<Record<Exclude<LeaseKind, 'turn'>, ReadonlySet<string>>> {
  return {
    layer: store.leases.names('layer'),
    mount: store.leases.names('mount'),
    blob: store.leases.names('blob'),
  };
}

/** What builds say of steps whose records are gone. @returns bytes freed */
function forgetAccounts({ accounts }: Store): number {
  const before = accounts.bytes();
  accounts.removeDangling();
  return before - accounts.bytes();
}

/** Facts and stat caches: all of them with `all`, else those that were not used for `untilMs`. @returns bytes freed */
function forget(store: Store, options: PruneOptions): number {
  const isPartial = options.keepStorageBytes ?? options.maxBytes ?? options.minFreeBytes;
  if (options.filter !== undefined || isPartial !== undefined) return 0;
  if (!options.all && options.untilMs === undefined) return 0;
  const before = store.now() - (options.untilMs ?? 0);
  store.facts.forgetUnused(before);
  let freed = 0;
  for (const name of fs.readdirSync(store.layout.statcache)) {
    const path = join(store.layout.statcache, name);
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile() || (options.untilMs !== undefined && stat.mtimeMs > before)) continue;
    fs.rmSync(path, { force: true });
    freed += stat.size;
  }
  return freed;
}
