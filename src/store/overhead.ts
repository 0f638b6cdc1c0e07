import fs from 'node:fs';
import { join } from 'node:path';
import type { Store } from './store.ts';
import type { UsageRecord } from './types.ts';

/** Gives bytes on disk of trees whose files may belong to sub-ids; the worker does it. */
export type MeasureBytes = (paths: readonly string[]) => Promise<readonly number[]>;

/**
 * What takes space beside layers, mounts and images: the index, the stat caches and what the file system rounds up, and what killed
 * builds left. With them, `du` comes to what du(1) says of the store's directory.
 */
export async function overhead(store: Store, measure: MeasureBytes): Promise<readonly UsageRecord[]> {
  const leftovers = findLeftovers(store);
  const left = leftovers.length === 0 ? 0 : (await measure(leftovers)).reduce((total, bytes) => total + bytes, 0);
  const now = store.now();
  const record = (id: string, description: string, size: number, inUse: boolean): UsageRecord => ({
    type: 'internal',
    id,
    description,
    size,
    shared: false,
    inUse,
    parents: [],
    createdAt: now,
    usedAt: now,
  });
  // They are rows of the index.
  const accounts = store.accounts.bytes();
  return [
    record('index', "the store's own files, and what the file system rounds up", ownBytes(store) - accounts, true),
    ...(accounts === 0 ? [] : [record('accounts', 'what steps read, for "tsbuild explain"', accounts, false)]),
    ...(left === 0 ? [] : [record('leftovers', 'left by killed builds; the next build deletes it', left, false)]),
  ];
}

/** Directories that belong to nothing: put aside, of no row and no lease, or being written by a process that is dead. */
function findLeftovers(store: Store): readonly string[] {
  const { layout } = store;
  const held = store.leases.namesOfLiving('layer');
  const inside = (dir: string, is: (name: string) => boolean): readonly string[] =>
    fs
      .readdirSync(dir)
      .filter(is)
      .map((name) => join(dir, name));
  return [
    ...inside(layout.garbage, () => true),
    ...inside(layout.ingest, (name) => !store.sessions.isAlive(name)),
    ...inside(layout.snapshots, (name) => !held.has(name) && store.layers.get(name)?.fs !== true),
  ];
}

/** Bytes on disk that no layer, mount or image is charged with. */
export function ownBytes(store: Store): number {
  const { layout } = store;
  let bytes = blocks(store.root) + blocks(layout.blobs) + blocks(join(layout.blobs, '..'));
  for (const { name } of entries(store.root)) {
    const path = join(store.root, name);
    if (path === join(layout.blobs, '..')) continue;
    bytes += blocks(path);
    if ([layout.images, layout.statcache, layout.locks, layout.sessions, layout.reserve].includes(path))
      bytes += below(path);
  }
  for (const { name } of entries(layout.blobs)) {
    const stat = fs.lstatSync(join(layout.blobs, name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.blocks * 512 - stat.size;
  }
  // A layer is charged with `fs`, not with the directory around it and overlay's beside it.
  for (const { id, fs: has } of store.layers.list()) {
    const { dir, work } = store.layers.paths(id);
    if (has) bytes += blocks(dir) + blocks(work);
  }
  // So is a mount: what is remembered of it lies beside its files.
  for (const { id } of store.mounts.list()) {
    const dir = store.mounts.directory(id);
    bytes += blocks(dir);
    for (const { name } of entries(dir)) if (name !== 'fs') bytes += blocks(join(dir, name));
  }
  return bytes;
}

function below(dir: string): number {
  return entries(dir).reduce((total, entry) => {
    const path = join(dir, entry.name);
    return total + blocks(path) + (entry.isDirectory() ? below(path) : 0);
  }, 0);
}

function entries(dir: string): readonly fs.Dirent[] {
  try {
    return fs.readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
}

function blocks(path: string): number {
  return (fs.lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}
