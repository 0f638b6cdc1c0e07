import type { Task } from '../../events/index.ts';
import type { ObjectStore, StoredObject } from '../../object-store/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { MAX_ENVELOPE_BYTES } from './envelope.ts';
import { namedLayers } from './named-layers.ts';
import { layerObject } from './names.ts';
import { readObject } from './read-object.ts';

/** What was written so short a time ago may be of a build that has not come to write the record that names it. */
const GRACE_MS = 10 * 60_000;

/** What of a shared cache may go: one of the two, or both. */
export interface CachePruneRule {
  /** Bytes that it may take. */
  readonly maxBytes?: number;
  /** What was not used since then goes, in milliseconds since the epoch. */
  readonly before?: number;
  /** Says what would go, and deletes nothing. */
  readonly dryRun?: boolean;
}

/** What became of a store that was too large. */
export interface Pruned {
  /** Names of the objects that were deleted. */
  readonly deleted: readonly string[];
  /** What is left, in bytes. */
  readonly bytes: number;
}

/**
 * Deletes what was not used for longest, of all scopes, until the store is as a rule says: records with the layers that no other
 * record names. What no record names goes first. Records go before their layers, so that whoever reads meanwhile finds nothing rather
 * than half of something, which is a miss all the same.
 */
export async function pruneObjects(
  task: Task,
  objects: ObjectStore,
  { maxBytes = Infinity, before = -Infinity, dryRun = false }: CachePruneRule,
): Promise<Pruned> {
  if (objects.delete === undefined)
    throw new TsbuildError('TSB_EXPORT', `Cannot make ${objects.id} smaller: it deletes nothing`);
  const all = new Map<string, StoredObject>();
  for await (const object of objects.list(task, '')) all.set(object.name, object);
  let bytes = [...all.values()].reduce((sum, { size }) => sum + size, 0);
  if (bytes <= maxBytes && before === -Infinity) return { deleted: [], bytes };
  // Not as arguments of one call, of which there may be some hundred thousand at most.
  const youngest = [...all.values()].reduce((latest, { modifiedAt }) => Math.max(latest, modifiedAt), 0) - GRACE_MS;
  const records = [...all.values()].filter(({ name }) => name.startsWith('records/'));
  const layersOf = new Map<string, readonly string[]>();
  for (const { name } of records) layersOf.set(name, await layersNamedBy(task, objects, name));
  const uses = new Map<string, number>();
  for (const layer of [...layersOf.values()].flat()) uses.set(layer, (uses.get(layer) ?? 0) + 1);
  const deleted: string[] = [];
  const remove = async (name: string): Promise<void> => {
    const object = all.get(name);
    if (object === undefined) return;
    if (!dryRun) await objects.delete?.(task, name);
    all.delete(name);
    bytes -= object.size;
    deleted.push(name);
  };
  const isOld = (object: StoredObject | undefined): boolean => object !== undefined && object.modifiedAt <= youngest;
  const isTooMuch = ({ modifiedAt }: StoredObject): boolean => bytes > maxBytes || modifiedAt < before;
  const byAge = (a: StoredObject, b: StoredObject): number => a.modifiedAt - b.modifiedAt;
  for (const blob of [...all.values()].filter(({ name }) => name.startsWith('blobs/')).toSorted(byAge))
    if (isTooMuch(blob) && !uses.has(blob.name) && isOld(blob)) await remove(blob.name);
  for (const record of records.toSorted(byAge)) {
    if (!isTooMuch(record)) break;
    await remove(record.name);
    for (const layer of layersOf.get(record.name) ?? []) {
      const left = (uses.get(layer) ?? 1) - 1;
      uses.set(layer, left);
      if (left === 0 && isOld(all.get(layer))) await remove(layer);
    }
  }
  return { deleted, bytes };
}

/**
 * Deletes the indexes of scopes of which records were deleted. What an index says is taken for true while nothing shows that it is not: they
 * are worth less than what they may cost.
 * @param spared a scope whose index is written anew
 */
export async function forgetIndexes(
  task: Task,
  objects: ObjectStore,
  deleted: readonly string[],
  spared?: string,
): Promise<void> {
  const scopes = new Set(deleted.flatMap((name) => /^records\/([^/]+)\//.exec(name)?.[1] ?? []));
  for (const scope of scopes) if (scope !== spared) await objects.delete?.(task, `index/${scope}`);
}

/** Names of the objects with the layers of a record; none for one that is damaged. */
async function layersNamedBy(task: Task, objects: ObjectStore, name: string): Promise<readonly string[]> {
  // Or all would be the youngest the next time.
  const envelope = await readObject(task, objects, name, MAX_ENVELOPE_BYTES, { onlyLooks: true });
  return ((envelope && namedLayers(envelope)) ?? []).map(layerObject);
}
