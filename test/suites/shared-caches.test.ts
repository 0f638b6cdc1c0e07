import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistry } from '../../src/registry/index.ts';
import { startRegistry } from '../support/registry.ts';
import { testTask } from '../support/task.ts';
import { MemoryObjects } from '../fakes/memory-objects.ts';
import { layerObject, recordTag, scopeId } from '../../src/remote-cache/steps/names.ts';
import { ObjectPlace, RegistryPlace } from '../../src/remote-cache/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { sharedCacheSuite } from './shared-cache.ts';

sharedCacheSuite('objects in memory', async () => {
  const store = new MemoryObjects();
  const set = async (name: string, bytes: Uint8Array | undefined): Promise<void> => {
    if (bytes === undefined) store.objects.delete(name);
    else store.objects.set(name, { bytes, modifiedAt: 0 });
  };
  return {
    open: (scope) => new ObjectPlace(store, scope),
    setRecord: (scope, name, envelope) => set(`records/${scopeId(scope)}/${name}`, envelope),
    setIndex: (scope, index) => set(`index/${scopeId(scope)}`, index),
    setLayer: (digest, bytes) => set(layerObject(digest), bytes),
    requests: () => store.requests.length,
    stop: async () => {
      store.before = () => {
        throw new TsbuildError('TSB_NETWORK', 'Cannot reach the objects');
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
});

sharedCacheSuite('a registry', async () => {
  const server = await startRegistry();
  const client = createRegistry({ now: () => Date.now(), limits: { attempts: 4, backoffMs: 20 } });
  // Scopes share a repository: it is tags that tell them apart.
  const open = (scope: string): RegistryPlace =>
    new RegistryPlace(client, { host: server.host, path: 'team/cache', tag: scope }, undefined);
  const data = join(server.storage, 'data/docker/registry/v2');
  const untag = (tag: string): void =>
    rmSync(join(data, 'repositories/team/cache/_manifests/tags', tag), { recursive: true, force: true });
  let isUp = true;
  const stop = async (): Promise<void> => {
    if (isUp) await server[Symbol.asyncDispose]();
    isUp = false;
  };
  return {
    open,
    async setRecord(scope, name, envelope) {
      if (envelope === undefined) untag(recordTag(scope, name));
      else await open(scope).putRecord(testTask(), name, envelope, [], true);
    },
    async setIndex(scope, index) {
      if (index === undefined) untag(scope);
      else await open(scope).putIndex(testTask(), index);
    },
    async setLayer(digest, bytes) {
      const hex = digest.slice('sha256:'.length);
      const path = join(data, 'blobs/sha256', hex.slice(0, 2), hex, 'data');
      if (bytes === undefined) rmSync(path);
      else writeFileSync(path, bytes);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await stop();
    },
  };
});
