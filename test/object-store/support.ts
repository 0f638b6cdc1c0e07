import { AzblobStore } from '../../src/object-store/azblob-store.ts';
import { GhaService } from '../../src/object-store/gha-service.ts';
import { PackedStore } from '../../src/object-store/packed-store.ts';
import type { S3Options } from '../../src/object-store/s3-store.ts';
import type { Surroundings } from '../../src/object-store/service.ts';
import { type ActionsCache, DEFAULT_BRANCH } from '../support/actions-cache.ts';
import type { Azurite } from '../support/azurite.ts';
import { S3_BUCKET, S3_KEY, S3_REGION, type S3Server } from '../support/s3-server.ts';

/** A client of the test server, with the key that it lets in. */
export function s3Options(server: Pick<S3Server, 'url'>, over: Partial<S3Options> = {}): S3Options {
  return {
    bucket: S3_BUCKET,
    region: S3_REGION,
    endpointUrl: server.url,
    usePathStyle: true,
    prefix: 'team a/',
    blobsPrefix: 'blobs/',
    manifestsPrefix: 'manifests/',
    keys: { given: S3_KEY, env: {}, home: '/nonexistent' },
    ...over,
  };
}

/** Quick to try again, and nothing of the environment. */
export function s3Surroundings(over: Partial<Surroundings> = {}): Surroundings {
  return { now: () => Date.now(), limits: { backoffMs: 1 }, ...over };
}

/** A job of a branch with the cache of GitHub Actions. */
export function ghaStore(
  server: ActionsCache,
  branch: string = DEFAULT_BRANCH,
  over: Partial<Surroundings> & { readonly flushMs?: number } = {},
): PackedStore {
  const surroundings = s3Surroundings(over);
  const service = new GhaService({ url: server.url, token: server.token(branch) }, surroundings);
  return new PackedStore(service, { prefix: 'tsbuild-1-test-', objectPrefix: 'tsbuild-1-', ...surroundings });
}

/** A container that is not there yet. */
export function azblobStore(server: Azurite): AzblobStore {
  return new AzblobStore(
    {
      accountUrl: server.accountUrl,
      container: 'cache-test',
      access: { kind: 'key', account: server.account, key: server.key },
      accessFrom: 'the test',
      prefix: 'team a/',
      blobsPrefix: 'blobs/',
      manifestsPrefix: 'manifests/',
    },
    s3Surroundings(),
  );
}
