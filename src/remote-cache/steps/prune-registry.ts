import pLimit from 'p-limit';
import type { Task } from '../../events/index.ts';
import { type Reference, MAX_MANIFEST_BYTES, guardFor } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { type Digest, isDigest, isTsbuildError, parseStrictJson } from '../../util/index.ts';
import { openEnvelope } from './envelope.ts';
import { recordTag } from './names.ts';
import type { CachePruneRule, Pruned } from './prune.ts';
import { RECORD_TYPES } from './record.ts';
import { recordContent, RegistryPlace } from './registry-place.ts';
import { decodeIndex, encodeIndex } from './scope-index.ts';

/** Manifests that are asked for, and deleted, at a time. */
const REQUESTS = 8;
/** What was written so short a time ago may be of a build that has not come to the end. */
const GRACE_MS = 10 * 60_000;

/** A repository with a cache. */
export interface RegistryCache {
  readonly registry: Registry;
  readonly reference: Reference;
  /** All of its tags. */
  readonly tags: readonly string[];
  readonly remove: (task: Task, digest: Digest) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A record as its manifest tells of it, whoever wrote it. */
interface Found {
  readonly digest: Digest;
  readonly scope: string;
  readonly name: string;
  readonly usedAt: number;
  /** Bytes of each blob that it names, and of the manifest. */
  readonly blobs: ReadonlyMap<Digest, number>;
}

/**
 * Deletes records of a cache in a registry, of all scopes, that were not used for longest, until what they name takes at most so many bytes or
 * is young enough. When a record was used is known from the index of its scope, else it is when it was written. The bytes themselves go
 * when the registry next looks for garbage.
 */
export async function pruneRegistry(
  task: Task,
  cache: RegistryCache,
  { maxBytes = Infinity, before = -Infinity, dryRun = false }: CachePruneRule,
): Promise<Pruned> {
  const limit = pLimit(REQUESTS);
  const tags = cache.tags.filter((tag) => /^tsb-[0-9a-f]{64}$/.test(tag));
  const records = (await Promise.all(tags.map((tag) => limit(() => look(task, cache, tag))))).filter(
    (one) => one !== undefined,
  );
  const indexes = new Map<string, Awaited<ReturnType<typeof readIndex>>>();
  for (const scope of new Set(records.map(({ scope }) => scope)))
    indexes.set(scope, await readIndex(task, cache, scope));
  const aged = records
    .map((record) => ({
      ...record,
      usedAt: Math.max(record.usedAt, indexes.get(record.scope)?.entries.get(record.name)?.touchedAt ?? 0),
    }))
    .toSorted((a, b) => a.usedAt - b.usedAt);
  const uses = new Map<Digest, { count: number; readonly size: number }>();
  for (const { blobs } of aged)
    for (const [digest, size] of blobs) uses.set(digest, { count: (uses.get(digest)?.count ?? 0) + 1, size });
  let bytes = [...uses.values()].reduce((sum, { size }) => sum + size, 0);
  const gone: typeof aged = [];
  for (const record of aged) {
    if (bytes <= maxBytes && record.usedAt >= before) break;
    if (record.usedAt > cache.now - GRACE_MS) break;
    gone.push(record);
    for (const digest of record.blobs.keys()) {
      const use = uses.get(digest);
      if (use !== undefined && --use.count === 0) bytes -= use.size;
    }
  }
  const deleted = gone.map(({ scope, name }) => recordTag(scope, name));
  if (dryRun) return { deleted, bytes };
  // What an index still has would be believed: it says so first.
  for (const [scope, index] of indexes) {
    const names = new Set(gone.filter((record) => record.scope === scope).map(({ name }) => name));
    if (index === undefined || ![...names].some((name) => index.entries.has(name))) continue;
    const left = [...index.entries.values()].filter(({ name }) => !names.has(name));
    await index.place.putIndex(task, encodeIndex(scope, left));
  }
  await Promise.all(gone.map(({ digest }) => limit(() => cache.remove(task, digest))));
  return { deleted, bytes };
}

/** What a manifest says of a record; undefined for what is none. */
async function look(task: Task, { registry, reference }: RegistryCache, tag: string): Promise<Found | undefined> {
  const { host, path } = reference;
  try {
    const { bytes, descriptor } = await registry.manifest(task, { host, path, tag });
    const what = `record ${tag}`;
    const guard = guardFor(what);
    const envelope = openEnvelope(recordContent(bytes, what), what, RECORD_TYPES);
    const document = guard.object(parseStrictJson(envelope.payload, { what, maxBytes: MAX_MANIFEST_BYTES }), '');
    const scope = guard.string(document['scope'], 'scope');
    const name = guard.string(document['name'], 'name');
    const writtenAt = document['writtenAt'];
    const blobs = new Map<Digest, number>([[descriptor.digest, bytes.length]]);
    for (const layer of guard.list(document['layers'] ?? [], 'layers')) {
      const { digest, size } = guard.object(layer, 'layers');
      if (isDigest(digest) && typeof size === 'number') blobs.set(digest, size);
    }
    return { digest: descriptor.digest, scope, name, usedAt: typeof writtenAt === 'number' ? writtenAt : 0, blobs };
  } catch (error) {
    // Somebody else's, or one that was deleted meanwhile.
    if (isTsbuildError(error, 'TSB_IMAGE') || isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
    throw error;
  }
}

async function readIndex(
  task: Task,
  { registry, reference }: RegistryCache,
  scope: string,
): Promise<{ readonly place: RegistryPlace; readonly entries: ReturnType<typeof decodeIndex> } | undefined> {
  const place = new RegistryPlace(registry, reference, scope === (reference.tag ?? 'latest') ? undefined : scope);
  try {
    const bytes = await place.index(task);
    return bytes && { place, entries: decodeIndex(bytes, scope, `index of ${place.id}`) };
  } catch (error) {
    task.signal.throwIfAborted();
    if (isTsbuildError(error, 'TSB_NETWORK') || isTsbuildError(error, 'TSB_REGISTRY')) throw error;
    return undefined;
  }
}
