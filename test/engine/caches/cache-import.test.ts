import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importCaches, type UsedCache } from '../../../src/engine/caches/cache-import.ts';
import type { Session } from '../../../src/engine/session.ts';
import { type Descriptor, mediaTypes, parseReference } from '../../../src/image/index.ts';
import {
  CACHE_CONFIG_TYPE,
  type CacheImport,
  encodeRemoteConfig,
  MAX_CACHE_CONFIG_BYTES,
  type RemoteConfig,
} from '../../../src/remote-cache/index.ts';
import { type Digest, hexOf, sha256, TsbuildError } from '../../../src/util/index.ts';
import { openStore } from '../../store/support.ts';
import { blobOf, type TestBlob, testImage } from '../../support/image.ts';
import { testTask } from '../../support/task.ts';

const LAYER: Descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256('layer'), size: 5 };
/** One leaf, and one step on it whose result is a layer. */
const CONFIG: RemoteConfig = {
  layers: [
    {
      layer: { descriptor: LAYER, diffId: LAYER.digest, createdAt: 1, description: 'RUN true', fromImage: false },
      parent: -1,
    },
  ],
  records: [{ digest: sha256('leaf'), inputs: [], results: [{ layers: 0, createdAt: 1 }] }],
};
const REFERENCE = parseReference('registry.example/team/cache:main');

let dir: string;

beforeAll(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-cache-import-'));
});

afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

interface Cache {
  readonly manifest: TestBlob;
  readonly blobs: readonly TestBlob[];
}

/** A cache in BuildKit's form. */
function buildkitCache(
  config: TestBlob = blobOf(encodeRemoteConfig(CONFIG)),
  form: 'manifest' | 'index' = 'manifest',
): Cache {
  const named: Descriptor = { mediaType: CACHE_CONFIG_TYPE, digest: config.digest, size: config.size };
  const manifest = blobOf(
    form === 'manifest'
      ? { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: named, layers: [LAYER] }
      : { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [LAYER, named] },
  );
  return { manifest, blobs: [manifest, config] };
}

/** An OCI layout with some blobs, in a directory of its own. */
function layoutOf(
  name: string,
  manifest: TestBlob,
  blobs: readonly TestBlob[],
  tag = 'latest',
  mediaType: string = mediaTypes.ociManifest,
): string {
  const path = join(dir, name);
  fs.mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
  fs.writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const entry = {
    mediaType,
    digest: manifest.digest,
    size: manifest.size,
    annotations: { 'org.opencontainers.image.ref.name': tag },
  };
  fs.writeFileSync(
    join(path, 'index.json'),
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry] }),
  );
  for (const { digest, bytes } of blobs) fs.writeFileSync(join(path, 'blobs/sha256', hexOf(digest)), bytes);
  return path;
}

interface Registry {
  readonly manifest?: TestBlob;
  readonly mediaType?: string;
  readonly blobs?: readonly TestBlob[];
  /** What the registry says instead. */
  readonly error?: Error;
  /** It never answers. */
  readonly silent?: boolean;
}

interface Outcome {
  readonly caches: readonly UsedCache[];
  readonly warnings: readonly string[];
  /** What the display says of the import, failures included. */
  readonly shown: readonly string[];
  readonly asked: number;
  /** Whether the leaf's record is offered. */
  readonly hits: boolean;
}

/** Imports with a store of its own, a registry of one manifest, and layers that nobody fetches. */
async function run(
  cacheFrom: readonly CacheImport[],
  options: {
    readonly registry?: Registry;
    readonly pull?: boolean;
    readonly budgetMs?: number;
    readonly task?: ReturnType<typeof testTask>;
    /** An image in the store under the reference. */
    readonly stored?: { readonly root: TestBlob; readonly blobs: readonly TestBlob[] };
  } = {},
): Promise<Outcome> {
  using opened = openStore();
  const { store } = opened;
  const { registry = {}, task = testTask() } = options;
  const blobs = new Map<Digest, Uint8Array>((registry.blobs ?? []).map(({ digest, bytes }) => [digest, bytes]));
  let asked = 0;
  for (const { bytes } of options.stored?.blobs ?? []) store.blobs.put(bytes);
  if (options.stored !== undefined) {
    const { digest, size } = options.stored.root;
    store.images.put('registry.example/team/cache:main', { mediaType: mediaTypes.ociManifest, digest, size });
  }
  const session = {
    now: () => 0,
    store,
    lease: store.leases.create(),
    options: { cacheImportMs: options.budgetMs ?? 5000 },
    layers: { adoptCached: () => [] },
    // A directory or bucket whose objects nobody asks for.
    objects: { get: () => ({}) },
    registry: {
      manifest: async (inner: { readonly signal: AbortSignal }) => {
        asked++;
        if (registry.silent === true)
          await new Promise((_, reject) => {
            inner.signal.addEventListener('abort', () => reject(inner.signal.reason));
          });
        if (registry.error !== undefined) throw registry.error;
        if (registry.manifest === undefined) throw new TsbuildError('TSB_NOT_FOUND', 'manifest unknown');
        const { digest, size, bytes } = registry.manifest;
        return { descriptor: { mediaType: registry.mediaType ?? mediaTypes.ociManifest, digest, size }, bytes };
      },
      blob: async function* (_: unknown, __: unknown, { digest }: Descriptor) {
        const bytes = blobs.get(digest);
        if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', 'blob unknown');
        yield bytes;
      },
    },
  } as unknown as Session;
  const caches = await importCaches(session, task, { cacheFrom, pull: options.pull ?? false });
  const hits: string[] = [];
  for (const cache of caches)
    if ('giveUp' in cache) hits.push(...cache.records(hexOf(sha256('leaf'))).map(({ id }) => id));
  return {
    caches,
    asked,
    hits: hits.length > 0,
    warnings: task.seen.flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic.message] : [])),
    shown: task.seen.flatMap((event) => (event.type === 'vertex' ? [`${event.state} ${event.name}`] : [])),
  };
}

describe("a directory in BuildKit's form", () => {
  test.each(['manifest', 'index'] as const)('offers its records, as %s', async (form) => {
    const cache = buildkitCache(undefined, form);
    const type = form === 'manifest' ? mediaTypes.ociManifest : mediaTypes.ociIndex;
    const src = layoutOf(`good-${form}`, cache.manifest, cache.blobs, 'latest', type);
    const { hits, warnings, shown } = await run([{ type: 'local', src }]);
    expect(warnings).toEqual([]);
    expect(hits).toBe(true);
    expect(shown).toEqual([
      `started importing cache manifest from ${src}`,
      `done importing cache manifest from ${src}`,
    ]);
  });

  test('is read by tag and by digest', async () => {
    const cache = buildkitCache();
    const src = layoutOf('tagged', cache.manifest, cache.blobs, 'pr-7');
    expect(await run([{ type: 'local', src, tag: 'pr-7' }])).toMatchObject({ hits: true, warnings: [] });
    expect(await run([{ type: 'local', src, digest: cache.manifest.digest }])).toMatchObject({ hits: true });
    const { hits, warnings } = await run([{ type: 'local', src }]);
    expect(hits).toBe(false);
    expect(warnings).toEqual([expect.stringContaining(`Cannot import cache from ${src}: Cannot find "latest"`)]);
  });

  test('is found by whoever expects a cache of steps there', async () => {
    const cache = buildkitCache();
    const path = layoutOf('expected', cache.manifest, cache.blobs);
    expect(await run([{ type: 'steps', place: { type: 'local', path } }])).toMatchObject({ hits: true, warnings: [] });
  });

  test('that is not there is a cache that nobody has written yet', async () => {
    const path = join(dir, 'nothing');
    const { caches, warnings, shown } = await run([{ type: 'steps', place: { type: 'local', path } }]);
    expect(caches).toHaveLength(1);
    expect(warnings).toEqual([]);
    expect(shown).toContain(`done importing cache manifest from ${path}`);
  });
});

describe('a cache that cannot be used is a warning, and the build goes on', () => {
  const local = (name: string, cache: Cache): CacheImport => ({
    type: 'local',
    src: layoutOf(name, cache.manifest, cache.blobs),
  });

  test('its config is missing', async () => {
    const cache = buildkitCache();
    const { caches, warnings, shown } = await run([local('no-config', { ...cache, blobs: [cache.manifest] })]);
    expect(caches).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(/^Cannot import cache from .*: Cannot use cache .* is missing$/)]);
    expect(shown.at(-1)).toMatch(/^failed /);
  });

  test('its config is not what its digest says', async () => {
    const cache = buildkitCache();
    const [manifest, config] = cache.blobs as [TestBlob, TestBlob];
    const flipped = Buffer.from(config.bytes);
    flipped[10] = (flipped[10] ?? 0) ^ 1;
    const { caches, warnings } = await run([
      local('flipped', { ...cache, blobs: [manifest, { ...config, bytes: flipped }] }),
    ]);
    expect(caches).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  test('its config is larger than any that is read: it is not fetched', async () => {
    const { manifest, blobs } = buildkitCache({ ...blobOf('{}'), size: MAX_CACHE_CONFIG_BYTES + 1 });
    const { warnings } = await run([{ type: 'registry', reference: REFERENCE }], { registry: { manifest, blobs } });
    expect(warnings).toEqual([expect.stringContaining('more than the limit of 8388608')]);
  });

  test('its config is no graph', async () => {
    const { caches, warnings } = await run([local('no-graph', buildkitCache(blobOf('{"records":[{"digest":"x"}]}')))]);
    expect(caches).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('records[0].digest')]);
  });

  test('it is an image without a cache', async () => {
    const image = testImage();
    const registry = { manifest: image.manifest, blobs: image.blobs };
    const { caches, warnings } = await run([{ type: 'registry', reference: REFERENCE }], { registry });
    expect(caches).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('it is not a build cache, and no image with one in it')]);
  });

  test('the registry refuses', async () => {
    const registry = { error: new TsbuildError('TSB_REGISTRY', 'denied: quota') };
    const { caches, warnings } = await run([{ type: 'registry', reference: REFERENCE }], { registry });
    expect(caches).toEqual([]);
    expect(warnings).toEqual(['Cannot import cache from registry.example/team/cache:main: denied: quota']);
  });

  test('and keeps no other from being used', async () => {
    const registry = { error: new TsbuildError('TSB_REGISTRY', 'denied') };
    const { hits, warnings } = await run(
      [{ type: 'registry', reference: REFERENCE }, local('other', buildkitCache())],
      {
        registry,
      },
    );
    expect(warnings).toHaveLength(1);
    expect(hits).toBe(true);
  });

  test('the registry says nothing: it is given up when the time is over', async () => {
    const { caches, warnings } = await run([{ type: 'registry', reference: REFERENCE }], {
      registry: { silent: true },
      budgetMs: 50,
    });
    expect(caches).toEqual([]);
    expect(warnings).toEqual([
      expect.stringContaining('it did not come within 0.05 seconds ($TSBUILD_CACHE_IMPORT_TIMEOUT'),
    ]);
  });
});

test('a build that is canceled meanwhile ends with that, not with a warning', async () => {
  const task = testTask();
  const running = run([{ type: 'registry', reference: REFERENCE }], { registry: { silent: true }, task });
  task.controller.abort(new TsbuildError('TSB_CANCELED', 'interrupted'));
  await expect(running).rejects.toMatchObject({ code: 'TSB_CANCELED' });
  expect(task.seen.filter(({ type }) => type === 'diagnostic')).toEqual([]);
});

describe('a registry where a cache of steps is expected', () => {
  const steps: CacheImport = { type: 'steps', place: { type: 'registry', reference: REFERENCE } };

  test("may have one in BuildKit's form", async () => {
    const { manifest, blobs } = buildkitCache();
    expect(await run([steps], { registry: { manifest, blobs } })).toMatchObject({ hits: true, warnings: [], asked: 1 });
  });

  test('may have nothing yet, and keeps what others write meanwhile', async () => {
    const { caches, warnings, hits } = await run([steps]);
    expect(caches).toHaveLength(1);
    expect(hits).toBe(false);
    expect(warnings).toEqual([]);
  });

  test('is not asked for another form when a scope is named', async () => {
    const { caches, asked } = await run([{ ...steps, scope: 'pr-7' }]);
    expect(caches).toHaveLength(1);
    expect(asked).toBe(0);
  });
});

describe('an image of the local store that has the name', () => {
  const image = testImage();
  const stored = { root: image.manifest, blobs: image.blobs };
  const from: readonly CacheImport[] = [{ type: 'registry', reference: REFERENCE }];

  test('without a cache in it sends us to the registry', async () => {
    const { manifest, blobs } = buildkitCache();
    expect(await run(from, { stored, registry: { manifest, blobs } })).toMatchObject({ hits: true, asked: 1 });
  });

  test('and is named in the warning when the registry has none either', async () => {
    const { warnings } = await run(from, { stored });
    expect(warnings).toEqual([
      expect.stringMatching(/the image of that name in the local image store has no cache in it, and: .*unknown/),
    ]);
  });

  test('with a cache in it is enough, unless the registry is to be asked', async () => {
    const record = { digest: sha256('leaf'), layers: [{ layer: 0 }] };
    const inline = Buffer.from(JSON.stringify([record])).toString('base64');
    const within = testImage({ config: { 'moby.buildkit.cache.v0': inline } });
    const here = { root: within.manifest, blobs: within.blobs };
    expect(await run(from, { stored: here })).toMatchObject({ asked: 0, warnings: [], caches: [expect.anything()] });
    expect(await run(from, { stored: here, pull: true })).toMatchObject({ asked: 1, caches: [] });
  });
});
