import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/object-store/directory-store.ts';
import { S3Store } from '../../src/object-store/s3-store.ts';
import type { AzblobStore } from '../../src/object-store/azblob-store.ts';
import type { PackedStore } from '../../src/object-store/packed-store.ts';
import { MemoryObjects } from '../fakes/memory-objects.ts';
import { azblobStore, ghaStore, s3Options, s3Surroundings } from '../object-store/support.ts';
import { startActionsCache } from '../support/actions-cache.ts';
import { startAzurite } from '../support/azurite.ts';
import { testTask } from '../support/task.ts';
import { startS3Server } from '../support/s3-server.ts';
import { type ObjectStoreFixture, objectStoreSuite } from './object-store.ts';

objectStoreSuite('in memory', (): Promise<ObjectStoreFixture> => {
  const one = new MemoryObjects();
  return Promise.resolve({
    one,
    other: new MemoryObjects('memory', one.objects),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});

objectStoreSuite('a directory', (): Promise<ObjectStoreFixture> => {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-objects-'));
  const options = { path: join(root, 'cache'), now: Date.now };
  return Promise.resolve({
    one: new DirectoryStore(options),
    other: new DirectoryStore(options),
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(root, { recursive: true })),
  });
});

objectStoreSuite('S3, spoken by s3rver', async (): Promise<ObjectStoreFixture> => {
  const server = await startS3Server();
  const [one, other] = [1, 2].map(() => new S3Store(s3Options(server), s3Surroundings())) as [S3Store, S3Store];
  return {
    one,
    other,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});

objectStoreSuite('GitHub Actions, spoken by a server of ours', async (): Promise<ObjectStoreFixture> => {
  const server = await startActionsCache();
  const [one, other] = [1, 2].map(() => ghaStore(server)) as [PackedStore, PackedStore];
  return {
    one,
    other,
    settle: async () => {
      await one.flush(testTask());
      await other.flush(testTask());
    },
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});

// A server of 240 MB of packages: by `npm install azurite` somewhere, and its path in the variable.
const azurite = process.env['TSBUILD_TEST_AZURITE'];
if (azurite !== undefined)
  objectStoreSuite('Azure Blob Storage, spoken by azurite', async (): Promise<ObjectStoreFixture> => {
    const server = await startAzurite(azurite);
    const [one, other] = [1, 2].map(() => azblobStore(server)) as [AzblobStore, AzblobStore];
    return {
      one,
      other,
      async [Symbol.asyncDispose]() {
        await one[Symbol.asyncDispose]();
        await other[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  });
