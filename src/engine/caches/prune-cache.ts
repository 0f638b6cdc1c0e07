import type { Task } from '../../events/index.ts';
import {
  type CacheExport,
  type CachePruneRule,
  forgetIndexes,
  type Pruned,
  pruneObjects,
  pruneRegistry,
} from '../../remote-cache/index.ts';
import { commandRegistryOptions, listTags, ManifestRemover } from '../../registry/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';

/** Records of a repository that are looked at. */
const MAX_TAGS = 100_000;

/**
 * Deletes what a shared cache has and nobody used for longest, of all its scopes.
 * @throws TsbuildError `TSB_USAGE` for one that cannot be pruned; `TSB_REGISTRY` where a registry deletes nothing
 */
export async function pruneSharedCache(
  session: Session,
  task: Task,
  spec: CacheExport,
  rule: CachePruneRule,
): Promise<Pruned> {
  if (spec.type !== 'steps') throw refusal(`type ${spec.type}`, 'it is one object: deleting it deletes all of it');
  const { place } = spec;
  if (place.type === 'registry') {
    const { reference } = place;
    const options = await commandRegistryOptions(session.options);
    const tags = await listTags(task, reference, { ...options, limit: MAX_TAGS });
    await using remover = new ManifestRemover(reference, options);
    const remove = remover.remove.bind(remover);
    return await pruneRegistry(task, { registry: session.registry, reference, tags, remove, now: session.now() }, rule);
  }
  if (place.type === 'objects' && place.store.kind === 'gha')
    throw refusal('type gha', 'GitHub deletes what nobody read for a week; "gh cache delete" deletes what is named');
  const request = place.type === 'local' ? ({ kind: 'directory', path: place.path } as const) : place.store;
  const objects = session.objects.get(request);
  const pruned = await pruneObjects(task, objects, rule);
  if (!rule.dryRun) await forgetIndexes(task, objects, pruned.deleted);
  return pruned;
}

function refusal(what: string, hint: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot prune a cache of ${what}`, { hint });
}
