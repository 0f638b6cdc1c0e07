import { hexOf, sha256 } from '../util/index.ts';
import { type AzblobOptions, containerId, containerUrl } from './azure-container.ts';
import { GHA_REQUESTS, type GhaOptions, ghaId, ghaUrl } from './gha-address.ts';
import { LazyStore } from './lazy-store.ts';
import { bucketId, bucketUrl } from './s3-address.ts';
import type { S3Options } from './s3-store.ts';
import type { Surroundings } from './service.ts';
import type { ObjectStore } from './types.ts';

/** A store that a user named, with all that it takes to reach it. */
export type ObjectStoreRequest =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 's3'; readonly options: S3Options }
  | { readonly kind: 'azblob'; readonly options: AzblobOptions }
  /** `scope` tells caches of one repository apart that have nothing to do with each other; large objects are shared all the same. */
  | { readonly kind: 'gha'; readonly options: GhaOptions; readonly scope: string };

/** A store that is open: dispose it when all is done, after `flush` where it has that. */
export type OpenObjectStore = ObjectStore & AsyncDisposable;

/**
 * A store that is opened when something is asked of it: only what speaks its protocol is loaded, and nothing for a build that needs none of it.
 * @param now milliseconds since the epoch
 * @param surroundings asked for then
 * @throws TsbuildError `TSB_USAGE` for what cannot be a bucket or an address
 */
export function openObjectStore(
  request: ObjectStoreRequest,
  now: () => number,
  surroundings: () => Promise<Surroundings>,
): OpenObjectStore {
  return new LazyStore(objectStoreId(request), request.kind === 'gha' ? GHA_REQUESTS : undefined, async () =>
    open(request, now, surroundings),
  );
}

/**
 * What messages call a store.
 * @throws TsbuildError `TSB_USAGE` for what cannot be a bucket or an address
 */
export function objectStoreId(request: ObjectStoreRequest): string {
  switch (request.kind) {
    case 'directory':
      return request.path;
    case 's3':
      bucketUrl(request.options);
      return bucketId(request.options);
    case 'azblob':
      containerUrl(request.options);
      return containerId(request.options);
    case 'gha':
      return ghaId(ghaUrl(request.options.url).host);
  }
}

async function open(
  request: ObjectStoreRequest,
  now: () => number,
  surroundings: () => Promise<Surroundings>,
): Promise<OpenObjectStore> {
  switch (request.kind) {
    case 'directory': {
      const { DirectoryStore } = await import('./directory-store.ts');
      return new DirectoryStore({ path: request.path, now });
    }
    case 's3': {
      const { S3Store } = await import('./s3-store.ts');
      return new S3Store(request.options, await surroundings());
    }
    case 'azblob': {
      const { AzblobStore } = await import('./azblob-store.ts');
      return new AzblobStore(request.options, await surroundings());
    }
    case 'gha': {
      const [{ GhaService }, { PackedStore }] = await Promise.all([
        import('./gha-service.ts'),
        import('./packed-store.ts'),
      ]);
      const around = await surroundings();
      const service = new GhaService(request.options, around);
      // Full stops, which are in no scope's part: entries are looked for by how their keys begin.
      const prefix = `tsbuild-1.${keyPart(request.scope)}.`;
      return new PackedStore(service, { ...around, prefix, objectPrefix: 'tsbuild-1-' });
    }
  }
}

/** A scope as part of a key, which other scopes do not have. */
function keyPart(scope: string): string {
  const readable = scope
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .slice(0, 40);
  return readable === scope ? readable : `${readable}-${hexOf(sha256(scope)).slice(0, 12)}`;
}
