import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/object-store/directory-store.ts';
import type { ObjectStore } from '../../src/object-store/index.ts';
import { S3Store } from '../../src/object-store/s3-store.ts';
import { layerObject, scopeId } from '../../src/remote-cache/steps/names.ts';
import { ObjectPlace } from '../../src/remote-cache/index.ts';
import { azblobStore, ghaStore, s3Options, s3Surroundings } from '../object-store/support.ts';
import { DEFAULT_BRANCH, startActionsCache } from '../support/actions-cache.ts';
import { startAzurite } from '../support/azurite.ts';
import { startS3Server } from '../support/s3-server.ts';
import { testTask } from '../support/task.ts';
import { contentOf } from './object-store.ts';
import { sharedCacheSuite } from './shared-cache.ts';

/** A service that machines keep objects at. */
interface Service {
  /** As a machine that has not asked for anything yet. */
  readonly open: () => ObjectStore & AsyncDisposable;
  readonly stop: () => Promise<void>;
  readonly remove?: () => void;
}

/** The contract of caches of steps, for what keeps them in a store of objects. Each place is another machine's, with a client of its own. */
function storeSuite(name: string, start: () => Promise<Service>): void {
  sharedCacheSuite(name, async () => {
    const service = await start();
    const opened: AsyncDisposable[] = [];
    const open = (): ObjectStore => {
      const store = service.open();
      opened.push(store);
      return store;
    };
    const set = async (object: string, bytes: Uint8Array | undefined): Promise<void> => {
      const store = open();
      if (bytes === undefined) await store.delete?.(testTask(), object);
      else await store.put(testTask(), object, contentOf(bytes));
      await store.flush?.(testTask());
    };
    let isUp = true;
    const stop = async (): Promise<void> => {
      if (isUp) await service.stop();
      isUp = false;
    };
    return {
      open: (scope) => new ObjectPlace(open(), scope),
      setRecord: (scope, record, envelope) => set(`records/${scopeId(scope)}/${record}`, envelope),
      setIndex: (scope, index) => set(`index/${scopeId(scope)}`, index),
      setLayer: (digest, bytes) => set(layerObject(digest), bytes),
      stop,
      async [Symbol.asyncDispose]() {
        for (const store of opened) await store[Symbol.asyncDispose]();
        await stop();
        service.remove?.();
      },
    };
  });
}

storeSuite('S3, spoken by s3rver', async () => {
  const server = await startS3Server();
  return {
    open: () => new S3Store(s3Options(server), s3Surroundings()),
    stop: async () => server[Symbol.asyncDispose](),
  };
});

storeSuite('GitHub Actions, spoken by a server of ours', async () => {
  const server = await startActionsCache();
  server.creations = 100_000;
  return {
    // Everything at once: a machine that dies has shared what it did, which is otherwise what it did a minute ago.
    open: () => ghaStore(server, DEFAULT_BRANCH, { flushMs: 0 }),
    stop: async () => server[Symbol.asyncDispose](),
  };
});

// Microsoft's own emulator is some 60 MB: whoever has it installed says where. `npm install azurite` brings it.
const azurite = process.env['TSBUILD_TEST_AZURITE'];
if (azurite !== undefined)
  storeSuite('Azure Blob Storage, spoken by azurite', async () => {
    const server = await startAzurite(azurite);
    return { open: () => azblobStore(server), stop: async () => server[Symbol.asyncDispose]() };
  });

storeSuite('a directory', () => {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-shared-'));
  return Promise.resolve({
    open: () => new DirectoryStore({ path: join(root, 'cache'), now: () => Date.now() }),
    // One that is gone is empty; one that everybody may write to is not read.
    stop: async () => {
      mkdirSync(join(root, 'cache'), { recursive: true });
      chmodSync(join(root, 'cache'), 0o777);
      await Promise.resolve();
    },
    remove: () => rmSync(root, { recursive: true }),
  });
});
