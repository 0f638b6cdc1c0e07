import type { Task } from '../../events/index.ts';
import { type OpResult, snapshot } from '../../ops/index.ts';
import {
  type CachePlace,
  ObjectPlace,
  type Policy,
  RegistryPlace,
  SharedCache,
  type StepCacheImport,
  type StepPlace,
} from '../../remote-cache/index.ts';
import type { RepositoryWriters } from '../../registry/index.ts';
import type { CacheOrigin } from '../../snapshots/index.ts';
import { BlobFetcher } from '../../source/index.ts';
import type { Session } from '../session.ts';

/** A `--cache-from` of steps. */
export interface StepCacheToOpen {
  readonly spec: StepCacheImport;
  readonly policy: Policy;
  /** How long an answer may take, in milliseconds; 0 for no limit. */
  readonly patienceMs: number;
  /** The manifest of its index, or that there is none, where somebody had to ask for that to see what it is. */
  readonly seen?: { readonly index: Uint8Array | undefined };
}

/**
 * Opens a cache of steps for reading. Nothing is asked of it before a step is looked for that the store does not have.
 * @param task of the build: what is asked for ends with it
 */
export function openStepCache(
  session: Session,
  task: Task,
  { spec, policy, patienceMs, seen }: StepCacheToOpen,
): SharedCache<OpResult> {
  const { store, lease, now, layers } = session;
  const place = openPlace(session, spec.place, spec.scope);
  if (seen !== undefined && place instanceof RegistryPlace) place.prime(seen.index);
  const fetcher = new BlobFetcher({ store, lease, now });
  const origin: CacheOrigin = {
    fetch: (inner, blob, vertex) => fetcher.fetch(inner, (own) => place.content(own), blob, vertex),
    ...(place.repository === undefined ? {} : { repository: place.repository }),
    onDamage: (error, layer) => cache.damage(error, layer),
  };
  const cache = new SharedCache<OpResult>({
    place,
    policy,
    task,
    patienceMs,
    use: (found) => {
      // Others have a place of their own; layers of base images are taken for those of the image, and are here as well.
      const bases = found.filter(({ fromImage }) => fromImage).map(({ descriptor }) => descriptor.digest);
      if (place.repository !== undefined) session.origins.note(bases, place.repository);
      return snapshot(layers.adoptCached(found, origin));
    },
    onWarning: (message) =>
      task.events({
        type: 'diagnostic',
        diagnostic: { code: 'CacheImport', severity: 'warning', message, ranges: [] },
        at: now(),
      }),
  });
  return cache;
}

/**
 * Where a scope of steps is kept.
 * @param scope absent: that of the place
 * @param writers those of the build, for a place that is written to
 */
export function openPlace(
  session: Session,
  place: CachePlace,
  scope: string | undefined,
  writers?: RepositoryWriters,
): StepPlace {
  if (place.type === 'registry')
    return new RegistryPlace(session.registry, place.reference, scope, writers?.of(place.reference));
  const request = place.type === 'local' ? ({ kind: 'directory', path: place.path } as const) : place.store;
  return new ObjectPlace(session.objects.get(request), scope);
}
