import fs from 'node:fs';
import { basename, join } from 'node:path';
import type { LeaseKind } from './leases.ts';
import { tryKernelLock } from './kernel-lock.ts';
import { discard, isLayerId } from './layers.ts';
import type { Store } from './store.ts';
import type { RemoveTrees } from './types.ts';

/** ms; for temporary files that no session owns. Younger ones, and ones from the future, are left alone. */
const STRAY_AGE = 24 * 3600 * 1000;
/**
 * ms; more than what may take whoever has a directory in the store and no session: a trial of the machine (`tryStep` of src/sandbox), and who makes
 * a container or a volume.
 */
const MAKING_AGE = 60_000;
/** Names of such directories. */
const MAKING = {
  root: /^doctor-\w{6}$/,
  containers: /^new-[0-9a-f]{64}$/,
  volumes: /^\.new-[0-9a-f]{16}$/,
} as const;

/** What a collection came to. */
export interface GarbageReport {
  /** Temporary files and directory trees that were deleted. */
  readonly removed: number;
  /** Why directories were left alone, if they were. */
  readonly skipped?: string;
}

/** Whether a process died and left something, or something was put aside. Some 0.1 ms. */
export function hasLeftovers(store: Store): boolean {
  return store.sessions.hasDead() || fs.readdirSync(store.layout.garbage).length > 0;
}

/**
 * What `collectUnderLock` does, for a command that has other things to do: only when something died, and nobody else is at it.
 * @param removeTrees called with what is to be deleted, if anything is
 * @returns undefined when there was nothing to do
 */
export async function collectLeftovers(store: Store, removeTrees: RemoveTrees): Promise<GarbageReport | undefined> {
  if (!hasLeftovers(store)) return undefined;
  const lock = store.locks.tryAcquire('gc');
  if (lock === undefined) return undefined;
  try {
    return await collectUnderLock(store, removeTrees);
  } finally {
    lock.release();
  }
}

/**
 * Removes what killed builds left behind: temporary files, directories that are not part of the store, leases, lock files.
 * Never touches what a running build holds. Cheap when there is nothing to do. For a caller that holds the lock `gc`.
 */
export async function collectUnderLock(store: Store, removeTrees: RemoveTrees): Promise<GarbageReport> {
  store.containers.enterMissing();
  const { unknownAlive, removedFiles } = store.sessions.sweep();
  const removed = removedFiles + removeStrayFiles(store);
  sweepLockFiles(store);
  if (!unknownAlive) discardUnowned(store);
  discardUnfinished(store);
  const trees = await emptyGarbage(store, removeTrees);
  return {
    removed: removed + trees,
    ...(unknownAlive ? { skipped: 'a build that began before the index was replaced is still running' } : {}),
  };
}

/** Deletes the directories that were put aside. @returns their number */
export async function emptyGarbage(store: Store, removeTrees: RemoveTrees): Promise<number> {
  const paths = fs.readdirSync(store.layout.garbage).map((name) => join(store.layout.garbage, name));
  if (paths.length > 0) await removeTrees(paths);
  return paths.length;
}

/** Temporary files of no session, and indexes that were given up. */
function removeStrayFiles(store: Store): number {
  let removed = 0;
  const now = store.now();
  const current = basename(store.database().path);
  const isStray = (name: string): boolean =>
    /^index-[0-9a-f]{32}\.tmp$/.test(name) || (/^index(-\d+)?\.sqlite/.test(name) && !name.startsWith(current));
  const { ingest, reports } = store.layout;
  const places = [
    [ingest, () => true],
    [store.root, isStray],
    // Those that are written have a dot before their names.
    [reports, (name: string) => name.startsWith('.')],
  ] as const;
  const candidates = places.flatMap(([dir, isOne]) =>
    (fs.existsSync(dir) ? fs.readdirSync(dir, { withFileTypes: true }) : [])
      .filter((entry) => entry.isFile() && isOne(entry.name))
      .map((entry) => join(dir, entry.name)),
  );
  for (const path of candidates) {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (!stat || now - stat.mtimeMs < STRAY_AGE) continue;
    fs.rmSync(path, { force: true });
    removed++;
  }
  return removed;
}

/** Puts aside what killed commands were at, which they alone knew of. */
function discardUnfinished(store: Store): void {
  for (const place of ['root', 'containers', 'volumes'] as const) {
    const dir = store.layout[place];
    if (!fs.existsSync(dir)) continue;
    for (const name of fs.readdirSync(dir).filter((one) => MAKING[place].test(one))) {
      const stat = fs.lstatSync(join(dir, name), { throwIfNoEntry: false });
      if (stat && store.now() - stat.mtimeMs >= MAKING_AGE) discard(store.layout, join(dir, name));
    }
  }
}

/** Lock files go when they are released; what is left belongs to killed processes. */
function sweepLockFiles(store: Store): void {
  for (const name of fs.readdirSync(store.layout.locks)) {
    const lock = tryKernelLock(join(store.layout.locks, name), false);
    if (typeof lock === 'object') lock.release();
  }
}

/**
 * Puts aside directories without a row that vouches for them, and deletes rows that stand for nothing. In one transaction
 * and by renaming only, so that it is over in a moment and nobody can begin to use one meanwhile.
 */
function discardUnowned(store: Store): void {
  const db = store.database();
  db.transaction(
    () => {
      const held = store.leases.names('layer');
      const complete = new Set<string>();
      for (const row of db.prepare('SELECT id, fs, synced, boot_id, stamp FROM layers WHERE fs <> 0').all()) {
        const id = String(row['id']);
        if (store.layers.staleness(row) !== undefined && !held.has(id)) store.layers.dropFs(id);
        else complete.add(id);
      }
      discardExcept(store, store.layout.snapshots, 'layer', (name) => isLayerId(name) && complete.has(name));
      removeEmptyLayers(store);
      const mounts = new Set(store.mounts.list().map(({ id }) => store.mounts.directory(id)));
      discardExcept(store, store.layout.mounts, 'mount', (name) => mounts.has(join(store.layout.mounts, name)));
    },
    { durable: true },
  );
}

function discardExcept(store: Store, dir: string, kind: LeaseKind, keep: (name: string) => boolean): void {
  const held = store.leases.names(kind);
  const heldPaths = new Set(kind === 'mount' ? [...held].map((id) => store.mounts.directory(id)) : []);
  for (const name of fs.readdirSync(dir)) {
    if (!keep(name) && !held.has(name) && !heldPaths.has(join(dir, name))) discard(store.layout, join(dir, name));
  }
}

/** Rows with neither directory nor blob that nobody is about to fill, and the cache records that name them. */
export function removeEmptyLayers(store: Store): void {
  const db = store.database();
  db.exec(`
    DELETE FROM layers WHERE fs = 0
      AND NOT EXISTS (SELECT 1 FROM layer_blobs WHERE layer = layers.id)
      AND NOT EXISTS (SELECT 1 FROM lease_names WHERE kind = 'layer' AND name = layers.id);
    DELETE FROM layer_blobs WHERE layer NOT IN (SELECT id FROM layers);
  `);
  store.records.removeDangling();
}
