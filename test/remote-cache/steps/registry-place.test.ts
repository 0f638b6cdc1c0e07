import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mediaTypes, parseReference } from '../../../src/image/index.ts';
import { createRegistry, type Registry } from '../../../src/registry/index.ts';
import { CACHE_CONFIG_TYPE, RegistryPlace } from '../../../src/remote-cache/index.ts';
import { sha256 } from '../../../src/util/index.ts';
import { type TestRegistry, startRegistry, type WatchedRegistry, watchRegistry } from '../../support/registry.ts';
import { testTask } from '../../support/task.ts';

describe('a scope in a registry', () => {
  let server: TestRegistry;
  let watched: WatchedRegistry;
  let client: Registry;
  beforeAll(async () => {
    server = await startRegistry();
    watched = await watchRegistry(server);
    client = createRegistry({ now: () => Date.now() });
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await watched[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const open = (name: string, scope?: string): RegistryPlace =>
    new RegistryPlace(client, parseReference(`${watched.host}/${name}`), scope);

  /** Puts an image manifest whose config has this type, and is `{}`, under a name. */
  async function push(name: string, configType: string): Promise<void> {
    const reference = parseReference(`${watched.host}/${name}`);
    const bytes = Buffer.from('{}');
    const config = { mediaType: configType, digest: sha256(bytes), size: bytes.length };
    await client.pushBlob(testTask(), reference, { ...config, open: (start) => [bytes.subarray(start)] });
    const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] };
    await client.pushManifest(testTask(), reference, mediaTypes.ociManifest, Buffer.from(JSON.stringify(manifest)));
  }

  test('has its index under the tag that was named, unless an image is there, which is left alone', async () => {
    await push('app:latest', mediaTypes.ociConfig);
    const before = await client.resolve(testTask(), parseReference(`${watched.host}/app:latest`));
    const place = open('app:latest');
    expect(await place.index(testTask())).toBeUndefined();
    await expect(place.putIndex(testTask(), Buffer.from('index'))).rejects.toMatchObject({
      code: 'TSB_EXPORT',
      message: expect.stringContaining('is an image') as string,
      hint: expect.stringContaining(':cache') as string,
    });
    expect(await client.resolve(testTask(), parseReference(`${watched.host}/app:latest`))).toEqual(before);
    // Another scope has an index elsewhere, and records never lie under the name of an image.
    const other = open('app:latest', 'pr/12');
    await other.putIndex(testTask(), Buffer.from('other'));
    expect(Buffer.from((await open('app:latest', 'pr/12').index(testTask())) ?? []).toString()).toBe('other');
    expect(await open('app:latest', 'pr/13').index(testTask())).toBeUndefined();
  });

  test("takes the place of a cache in BuildKit's form", async () => {
    await push('old:cache', CACHE_CONFIG_TYPE);
    const place = open('old:cache');
    expect(await place.index(testTask())).toBeUndefined();
    await place.putIndex(testTask(), Buffer.from('new'));
    expect(Buffer.from((await place.index(testTask())) ?? []).toString()).toBe('new');
  });

  test('is not asked twice for an index that somebody has seen', async () => {
    await open('seen:cache').putIndex(testTask(), Buffer.from('seen'));
    const { bytes } = await client.manifest(testTask(), parseReference(`${watched.host}/seen:cache`));
    watched.requests.length = 0;
    const place = open('seen:cache');
    place.prime(bytes);
    expect(Buffer.from((await place.index(testTask())) ?? []).toString()).toBe('seen');
    expect(watched.requests).toEqual([]);
    await place.index(testTask());
    expect(watched.requests).toHaveLength(1);
    // Nor for one that is not there.
    const absent = open('seen:other');
    absent.prime(undefined);
    expect(await absent.index(testTask())).toBeUndefined();
    expect(watched.requests).toHaveLength(1);
  });

  test('lists the layers of a record, for the registry to keep them, and answers with all of it at once', async () => {
    const bytes = Buffer.from('layer');
    const layer = { mediaType: mediaTypes.ociLayer, digest: sha256(bytes), size: bytes.length };
    const place = open('kept:cache');
    const blob = { ...layer, open: (start: number) => [bytes.subarray(start)], mountFrom: () => [] };
    expect(await place.putLayer(testTask(), blob)).toBe('sent');
    expect(await place.putRecord(testTask(), 'a'.repeat(64), Buffer.from('record'), [layer, layer], false)).toBe(true);
    expect(await place.putRecord(testTask(), 'a'.repeat(64), Buffer.from('again'), [layer], false)).toBe(false);
    watched.requests.length = 0;
    const found = await open('kept:cache').record(testTask(), 'a'.repeat(64));
    expect(Buffer.from(found ?? []).toString()).toBe('record');
    expect(watched.requests).toHaveLength(1);
    const tag = watched.requests[0]?.url.split('/').at(-1) ?? '';
    const { bytes: manifest } = await client.manifest(testTask(), { ...parseReference(`${watched.host}/kept`), tag });
    expect(JSON.parse(Buffer.from(manifest).toString())).toMatchObject({ layers: [layer] });
  });
});
