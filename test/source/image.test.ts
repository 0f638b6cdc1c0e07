import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRegistry, type Registry } from '../../src/registry/index.ts';
import { createImageSource, type FactStore, type ImageSource, parseLayoutReference } from '../../src/source/index.ts';
import { type Lease, prune, Store } from '../../src/store/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { formatPlatform, mediaTypes, type Platform, platformVector } from '../../src/image/index.ts';
import { blobOf, type TestBlob, testImage, type TestImage } from '../support/image.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };
const VERTEX = sha256('vertex');

let folder: string;
let server: ScriptedRegistry;
let registry: Registry;
let store: Store;
let lease: Lease;
let facts: Map<string, unknown>;
let source: ImageSource;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-source-'));
  server = await startScriptedRegistry();
  registry = createRegistry({ now: () => 0, limits: { attempts: 2, backoffMs: 1 } });
  store = Store.open(join(folder, 'store'), { now: () => 0 });
  lease = store.leases.create();
  facts = new Map();
  source = newSource();
});
afterEach(async () => {
  store.close();
  await registry[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A build of its own on the same store. */
function newSource(): ImageSource {
  const factStore: FactStore = {
    get: (kind, key) => (facts.has(`${kind} ${key}`) ? { value: facts.get(`${kind} ${key}`) } : undefined),
    put: (kind, key, value) => facts.set(`${kind} ${key}`, value),
  };
  return createImageSource({ store, lease, registry, facts: factStore, now: () => 0 });
}

const entry = (image: TestImage, platform?: object) => ({
  mediaType: mediaTypes.ociManifest,
  digest: image.manifest.digest,
  size: image.manifest.size,
  ...(platform === undefined ? {} : { platform }),
});
const indexOf = (...manifests: object[]): TestBlob =>
  blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });

function serve(tag: string, root: TestBlob, type: string, ...blobs: TestBlob[]): void {
  for (const key of [tag, root.digest]) {
    server.on(`/v2/x/manifests/${key}`, {
      headers: { 'content-type': type, 'docker-content-digest': root.digest },
      body: root.bytes,
    });
  }
  for (const blob of blobs) server.on(`/v2/x/blobs/${blob.digest}`, { body: blob.bytes });
}
function serveImage(tag: string, image: TestImage): void {
  serve(tag, image.manifest, mediaTypes.ociManifest, image.config, ...image.layers);
}
const ref = (suffix = ':1') => `${server.host}/x${suffix}`;
const code = (name: string) => expect.objectContaining({ code: name });

describe('from a registry', () => {
  const image = testImage({ layers: [[{ name: 'a', content: 'a'.repeat(200_000) }], [{ name: 'b' }]] });

  test('metadata first, layers when they are asked for', async () => {
    serveImage('1', image);
    const resolved = await source.resolve(testTask(), ref(), amd64);
    expect(resolved).toMatchObject({
      ref: ref(),
      digest: image.manifest.digest,
      manifestDigest: image.manifest.digest,
    });
    expect(resolved.layers.map(({ descriptor }) => descriptor.digest)).toEqual(
      image.layers.map(({ digest }) => digest),
    );
    expect(Buffer.from(resolved.configBytes)).toEqual(image.config.bytes);
    expect(store.blobs.has(image.layers[0]?.digest ?? VERTEX)).toBe(false);

    const task = testTask();
    await Promise.all(
      [0, 1, 0, 0].map(async (index) => resolved.fetchLayer(task, resolved.layers[index]!.descriptor, VERTEX)),
    );
    for (const layer of image.layers) expect(store.blobs.verify(layer.digest)).toBe(true);
    for (const layer of image.layers) {
      expect(
        server.requests.filter(({ url }) => url.endsWith(layer.digest)),
        'single flight',
      ).toHaveLength(1);
      expect(task.seen).toContainEqual(
        expect.objectContaining({
          type: 'status',
          vertex: VERTEX,
          id: layer.digest,
          current: layer.size,
          total: layer.size,
          completed: true,
        }),
      );
    }
  });

  test('one build asks once; the next build asks by HEAD only while the tag stays', async () => {
    serveImage('1', image);
    await Promise.all([source.resolve(testTask(), ref(), amd64), source.resolve(testTask(), ref(), amd64)]);
    const before = server.requests.length;
    await newSource().resolve(testTask(), ref(), amd64);
    expect(server.requests.slice(before).map(({ method }) => method)).toEqual(['HEAD']);
  });

  test('a single blob is asked for once and is what its digest says, whatever the registry says of its size', async () => {
    const repository = { host: server.host, path: 'x' };
    const [whole, short, wrong] = [
      blobOf('all of it'),
      blobOf('longer than it is said to be'),
      blobOf('not what is sent'),
    ];
    server.on(`/v2/x/blobs/${whole.digest}`, { body: whole.bytes });
    server.on(`/v2/x/blobs/${short.digest}`, { headers: { 'content-length': '3' }, body: short.bytes.subarray(0, 3) });
    server.on(`/v2/x/blobs/${wrong.digest}`, { body: Buffer.from('another content') });
    for (const build of [source, source, newSource()]) {
      await build.fetchBlob(testTask(), repository, whole.digest, sha256('vertex'));
      expect(store.blobs.read(whole.digest)).toEqual(whole.bytes);
    }
    for (const { digest } of [short, wrong]) {
      await expect(source.fetchBlob(testTask(), repository, digest, sha256('vertex'))).rejects.toEqual(
        code('TSB_DIGEST'),
      );
      expect(store.blobs.has(digest)).toBe(false);
    }
    const none = sha256('nobody has it');
    await expect(source.fetchBlob(testTask(), repository, none, sha256('vertex'))).rejects.toEqual(
      code('TSB_NOT_FOUND'),
    );
    const layout = { layout: join(folder, 'nowhere') };
    await expect(source.fetchBlob(testTask(), layout, none, sha256('vertex'))).rejects.toEqual(code('TSB_NOT_FOUND'));
  });

  test('a digest that is in the store needs no network', async () => {
    serveImage('1', image);
    await source.resolve(testTask(), ref(), amd64);
    const before = server.requests.length;
    for (const suffix of [`@${image.manifest.digest}`, `:other@${image.manifest.digest}`]) {
      expect((await newSource().resolve(testTask(), ref(suffix), amd64)).digest).toBe(image.manifest.digest);
    }
    expect(server.requests).toHaveLength(before);
  });

  test('without network: what the tag stood for before, with a warning; not when a pull was asked for', async () => {
    serveImage('1', image);
    await source.resolve(testTask(), ref(), amd64);
    const name = ref();
    await server[Symbol.asyncDispose]();
    const task = testTask();
    const resolved = await newSource().resolve(task, name, amd64);
    expect(resolved.digest).toBe(image.manifest.digest);
    expect(task.seen).toContainEqual(expect.objectContaining({ type: 'diagnostic' }));
    await expect(newSource().resolve(testTask(), name, amd64, { mode: 'pull' })).rejects.toThrow(code('TSB_NETWORK'));
    await expect(newSource().resolve(testTask(), `${name}2`, amd64)).rejects.toThrow(code('TSB_NETWORK'));
    await expect(resolved.fetchLayer(testTask(), resolved.layers[0]!.descriptor)).rejects.toThrow(code('TSB_NETWORK'));
  });

  test('mode local asks the registry only for what it never saw', async () => {
    serveImage('1', image);
    await newSource().resolve(testTask(), ref(), amd64, { mode: 'local' });
    const before = server.requests.length;
    await newSource().resolve(testTask(), ref(), amd64, { mode: 'local' });
    expect(server.requests).toHaveLength(before);
  });

  test('a layer that is damaged on the way is fetched again, one that stays damaged leaves nothing', async () => {
    serveImage('1', image);
    const [good, bad] = image.layers;
    if (good === undefined || bad === undefined) throw new Error('no layers');
    server.on(`/v2/x/blobs/${good.digest}`, { body: Buffer.alloc(good.size) }, { body: good.bytes });
    server.on(`/v2/x/blobs/${bad.digest}`, { body: Buffer.alloc(bad.size) });
    const resolved = await source.resolve(testTask(), ref(), amd64);
    await resolved.fetchLayer(testTask(), resolved.layers[0]!.descriptor);
    await expect(resolved.fetchLayer(testTask(), resolved.layers[1]!.descriptor)).rejects.toThrow(code('TSB_DIGEST'));
    expect(store.blobs.has(good.digest)).toBe(true);
    expect(store.blobs.has(bad.digest)).toBe(false);
  });

  test('one who gives up does not stop the others; when all do, the transfer ends', async () => {
    serveImage('1', image);
    const [layer] = image.layers;
    if (layer === undefined) throw new Error('no layer');
    let finish: (() => void) | undefined;
    const connection = { closed: false };
    const slow = new Promise<void>((resolve) => {
      server.on(`/v2/x/blobs/${layer.digest}`, (_, response) => {
        response.write(layer.bytes.subarray(0, 10));
        response.on('close', () => (connection.closed = true));
        finish = () => response.end(layer.bytes.subarray(10));
        resolve();
      });
    });
    const resolved = await source.resolve(testTask(), ref(), amd64);
    const [first, second] = [testTask(), testTask()];
    const one = resolved.fetchLayer(first, resolved.layers[0]!.descriptor);
    const two = resolved.fetchLayer(second, resolved.layers[0]!.descriptor);
    await slow;
    first.controller.abort(new Error('enough'));
    await expect(one).rejects.toThrow('enough');
    finish?.();
    await two;
    expect(store.blobs.has(layer.digest)).toBe(true);

    store.blobs.remove(layer.digest);
    connection.closed = false;
    const third = testTask();
    const three = resolved.fetchLayer(third, resolved.layers[0]!.descriptor);
    while (server.requests.filter(({ url }) => url.endsWith(layer.digest)).length < 2) await new Promise(setImmediate);
    third.controller.abort(new Error('enough'));
    await expect(three).rejects.toThrow('enough');
    while (!connection.closed) await new Promise(setImmediate);
  });

  test.each<[string, (image: TestImage) => TestBlob, string]>([
    [
      'other number of diff ids',
      () => blobOf({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }),
      '0 diff ids for the 2 layers',
    ],
    ['no architecture', () => blobOf({ os: 'linux' }), '"architecture" is not a string'],
  ])('a config with %s is refused', async (_, make, message) => {
    const config = make(image);
    const manifest = blobOf({
      ...JSON.parse(image.manifest.bytes.toString()),
      config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.size },
    });
    serve('1', manifest, mediaTypes.ociManifest, config);
    await expect(source.resolve(testTask(), ref(), amd64)).rejects.toThrow(message);
  });

  test.each([
    [
      'an artifact',
      { config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 } },
      'not a container image but an artifact',
    ],
    [
      'a layer of unknown type',
      { layers: ['l', 'm'].map((name) => ({ mediaType: 'application/x-thing', digest: sha256(name), size: 1 })) },
      'layer of type application/x-thing',
    ],
    [
      'a config that is an index',
      { config: { mediaType: mediaTypes.ociIndex, digest: sha256('c'), size: 2 } },
      'artifact with a config of type',
    ],
    [
      'a config of 9 MiB',
      { config: { mediaType: mediaTypes.ociConfig, digest: sha256('c'), size: 9 << 20 } },
      'more than the limit',
    ],
  ])('%s is refused', async (_, change, message) => {
    serve(
      '1',
      blobOf({ ...JSON.parse(image.manifest.bytes.toString()), ...change }),
      mediaTypes.ociManifest,
      image.config,
    );
    await expect(source.resolve(testTask(), ref(), amd64)).rejects.toThrow(message);
  });

  test('a descriptor that lies about the size of a document is refused', async () => {
    const index = indexOf({
      ...entry(image),
      size: image.manifest.size + 1,
      platform: { os: 'linux', architecture: 'amd64' },
    });
    serve('1', index, mediaTypes.ociIndex);
    serveImage('2', image);
    await expect(source.resolve(testTask(), ref(), amd64)).rejects.toThrow(code('TSB_DIGEST'));
  });
});

describe('platforms (REG-07)', () => {
  test.each([
    [{ os: 'linux', architecture: 'amd64' }, 'linux/amd64 linux/386'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386'],
    [{ os: 'linux', architecture: 'arm' }, 'linux/arm/v7 linux/arm/v6 linux/arm/v5'],
    [
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
      'linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5',
    ],
    [{ os: 'linux', architecture: 'riscv64' }, 'linux/riscv64'],
  ])('%j runs %s', (platform, expected) => {
    expect(platformVector(platform).map(formatPlatform).join(' ')).toBe(expected);
  });

  const image = (architecture: string, variant?: string): TestImage =>
    testImage({
      architecture,
      ...(variant === undefined ? {} : { variant }),
      layers: [[{ name: `${architecture}${variant}` }]],
    });
  const images = {
    amd64: image('amd64'),
    arm64: image('arm64'),
    armv6: image('arm', 'v6'),
    armv7: image('arm', 'v7'),
    i386: image('386'),
  };
  const all = Object.values(images).flatMap((one) => [one.config]);
  function serveIndex(...entries: object[]): TestBlob {
    const index = indexOf(...entries);
    serve('1', index, mediaTypes.ociIndex, ...all);
    for (const one of Object.values(images)) {
      server.on(`/v2/x/manifests/${one.manifest.digest}`, {
        headers: { 'content-type': mediaTypes.ociManifest },
        body: one.manifest.bytes,
      });
    }
    return index;
  }
  const choose = async (platform: Platform) => (await source.resolve(testTask(), ref(), platform)).manifestDigest;

  test('the right entry of an index, which is what the reference is pinned to', async () => {
    const index = serveIndex(
      entry(images.armv6, { os: 'linux', architecture: 'arm', variant: 'v6' }),
      entry(images.armv7, { os: 'linux', architecture: 'arm', variant: 'v7' }),
      entry(images.arm64, { os: 'linux', architecture: 'arm64', variant: 'v8' }),
      entry(images.amd64, { os: 'linux', architecture: 'amd64' }),
    );
    expect(await choose(arm64)).toBe(images.arm64.manifest.digest);
    expect(await choose({ os: 'linux', architecture: 'arm' })).toBe(images.armv7.manifest.digest);
    expect(await choose({ os: 'linux', architecture: 'arm', variant: 'v6' })).toBe(images.armv6.manifest.digest);
    expect((await source.resolve(testTask(), ref(), amd64)).digest).toBe(index.digest);
  });

  test('the next best when there is no exact one', async () => {
    serveIndex(
      entry(images.i386, { os: 'linux', architecture: '386' }),
      entry(images.armv7, { os: 'linux', architecture: 'arm', variant: 'v7' }),
    );
    expect(await choose(amd64)).toBe(images.i386.manifest.digest);
    expect(await choose(arm64)).toBe(images.armv7.manifest.digest);
  });

  test('of two entries for one platform the first', async () => {
    const platform = { os: 'linux', architecture: 'amd64' };
    serveIndex(entry(images.i386, platform), entry(images.amd64, platform));
    expect(await choose(amd64)).toBe(images.i386.manifest.digest);
  });

  test('attestations are no images', async () => {
    serveIndex(
      { ...entry(images.i386, { os: 'unknown', architecture: 'unknown' }) },
      {
        ...entry(images.i386, { os: 'linux', architecture: 'amd64' }),
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      },
      entry(images.amd64, { os: 'linux', architecture: 'amd64' }),
    );
    expect(await choose(amd64)).toBe(images.amd64.manifest.digest);
  });

  test('entries that do not say what they are for are judged by their config', async () => {
    serveIndex(entry(images.arm64), entry(images.amd64));
    expect(await choose(amd64)).toBe(images.amd64.manifest.digest);
  });

  test('no entry: what there is instead', async () => {
    serveIndex(
      entry(images.arm64, { os: 'linux', architecture: 'arm64' }),
      entry(images.armv7, { os: 'linux', architecture: 'arm', variant: 'v7' }),
    );
    await expect(choose(amd64)).rejects.toThrow(
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        message: `Cannot use image "${ref()}" for linux/amd64: no match for platform in manifest: not found`,
        hint: 'it is available for linux/arm/v7, linux/arm64',
      }),
    );
  });

  test('nested indexes are searched, but not without end', async () => {
    let inner = indexOf(entry(images.amd64, { os: 'linux', architecture: 'amd64' }));
    serveIndex();
    const wrap = (): void => {
      server.on(`/v2/x/manifests/${inner.digest}`, {
        headers: { 'content-type': mediaTypes.ociIndex },
        body: inner.bytes,
      });
      inner = indexOf({ mediaType: mediaTypes.ociIndex, digest: inner.digest, size: inner.size });
    };
    wrap();
    wrap();
    serve('1', inner, mediaTypes.ociIndex);
    expect(await choose(amd64)).toBe(images.amd64.manifest.digest);
    for (let depth = 0; depth < 50; depth++) wrap();
    serve('2', inner, mediaTypes.ociIndex);
    const before = server.requests.length;
    await expect(source.resolve(testTask(), ref(':2'), amd64)).rejects.toThrow('nested too deeply');
    expect(server.requests.length - before).toBeLessThan(10);
  });

  test('a manifest without index is used whatever its platform', async () => {
    serveImage('1', images.arm64);
    expect(await choose(amd64)).toBe(images.arm64.manifest.digest);
  });
});

describe('from the local image store', () => {
  const image = testImage();
  const put = (name: string): void => {
    for (const blob of image.blobs) store.blobs.put(blob.bytes);
    store.images.put(name, {
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
  };

  test('a name that is there needs no network, unless a pull is asked for', async () => {
    put(ref());
    expect((await source.resolve(testTask(), ref(), amd64)).digest).toBe(image.manifest.digest);
    expect(server.requests).toHaveLength(0);
    const newer = testImage({ layers: [[{ name: 'newer' }]] });
    serveImage('1', newer);
    expect((await source.resolve(testTask(), ref(), amd64, { mode: 'pull' })).digest).toBe(newer.manifest.digest);
  });

  test('familiar names are found', async () => {
    put('docker.io/library/app:latest');
    expect((await source.resolve(testTask(), 'app', amd64)).ref).toBe('docker.io/library/app:latest');
  });

  test('a name with another digest is not used', async () => {
    put(ref());
    const newer = testImage({ layers: [[{ name: 'newer' }]] });
    serveImage('1', newer);
    expect((await source.resolve(testTask(), ref(`:1@${newer.manifest.digest}`), amd64)).digest).toBe(
      newer.manifest.digest,
    );
  });

  test('a damaged image is fetched again', async () => {
    put(ref());
    const path = store.blobs.path(image.config.digest);
    unlinkSync(path);
    writeFileSync(path, 'damaged');
    serveImage('1', image);
    expect((await source.resolve(testTask(), ref(), amd64)).digest).toBe(image.manifest.digest);
    expect(store.blobs.verify(image.config.digest)).toBe(true);
  });
});

describe('from an OCI layout', () => {
  const image = testImage();
  const other = testImage({ layers: [[{ name: 'other' }]] });
  let layout: string;
  const write = (name: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(layout, name)), { recursive: true });
    writeFileSync(join(layout, name), content);
  };
  const blobPath = (digest: Digest): string => join('blobs/sha256', digest.slice(7));
  beforeEach(() => {
    layout = join(folder, 'layout');
    write('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    for (const { digest, bytes } of [...image.blobs, ...other.blobs]) write(blobPath(digest), bytes);
    const named = (one: TestImage, name: string) => ({
      ...entry(one),
      annotations: { 'org.opencontainers.image.ref.name': name },
    });
    write('index.json', JSON.stringify({ schemaVersion: 2, manifests: [named(image, 'latest'), named(other, '2')] }));
  });
  const load = async (suffix = '') => source.resolve(testTask(), `oci-layout://${layout}${suffix}`, amd64);

  test.each([
    ['', image],
    [':latest', image],
    [':2', other],
    [`@${other.manifest.digest}`, other],
    [`:whatever@${other.manifest.digest}`, other],
  ])('the image of %j', async (suffix, expected) => {
    const resolved = await load(suffix);
    expect(resolved.digest).toBe(expected.manifest.digest);
    await resolved.fetchLayer(testTask(), resolved.layers[0]!.descriptor, VERTEX);
    expect(store.blobs.verify(expected.layers[0]!.digest)).toBe(true);
  });

  test('a tag that is not there: the ones that are', async () => {
    await expect(load(':3')).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', hint: 'it has: "latest", "2"' }),
    );
  });

  test.each<[string, () => void]>([
    [
      'a blob that is a symbolic link',
      () => {
        unlinkSync(join(layout, blobPath(image.manifest.digest)));
        symlinkSync('/etc/passwd', join(layout, blobPath(image.manifest.digest)));
      },
    ],
    [
      'a blob directory that is a symbolic link',
      () => {
        rmSync(join(layout, 'blobs'), { recursive: true });
        symlinkSync('/etc', join(layout, 'blobs'));
      },
    ],
    ['an index of 1 GiB', () => truncateSync(join(layout, 'index.json'), 1 << 30)],
    ['a config that is missing', () => unlinkSync(join(layout, blobPath(image.config.digest)))],
    [
      'a config that is a directory',
      () => {
        unlinkSync(join(layout, blobPath(image.config.digest)));
        mkdirSync(join(layout, blobPath(image.config.digest)));
      },
    ],
    ['a config with other bytes', () => write(blobPath(image.config.digest), 'x'.repeat(image.config.size))],
    ['a layout of version 2', () => write('oci-layout', '{"imageLayoutVersion":"2.0.0"}')],
    ['no oci-layout file', () => unlinkSync(join(layout, 'oci-layout'))],
    [
      'an index.json that is a symbolic link',
      () => {
        unlinkSync(join(layout, 'index.json'));
        symlinkSync('/etc/passwd', join(layout, 'index.json'));
      },
    ],
  ])('%s is an error', async (_, damage) => {
    damage();
    const error: unknown = await load().catch((error: unknown) => error);
    expect((error as { code?: string }).code).toMatch(/^TSB_(IMAGE|DIGEST|NOT_FOUND)$/);
    expect(String(error)).not.toContain('root:');
  });

  test('a layer with other bytes is refused when it is fetched', async () => {
    const [layer] = image.layers;
    if (layer === undefined) throw new Error('no layer');
    write(blobPath(layer.digest), Buffer.alloc(layer.size));
    const resolved = await load();
    await expect(resolved.fetchLayer(testTask(), resolved.layers[0]!.descriptor)).rejects.toThrow(code('TSB_DIGEST'));
  });

  test.each([
    ['oci-layout:///a/b', { path: '/a/b' }],
    ['oci-layout:///a:b/c', { path: '/a:b/c' }],
    ['oci-layout://c:1', { path: 'c', tag: '1' }],
    [`oci-layout:///a/b:t@${sha256('x')}`, { path: '/a/b', tag: 't', digest: sha256('x') }],
  ])('%s', (text, expected) => {
    expect(parseLayoutReference(text)).toEqual(expected);
  });

  test.each(['oci-layout://', 'oci-layout:///a@sha256:short', 'oci-layout:///a\0b'])('%j is refused', (text) => {
    expect(() => parseLayoutReference(text)).toThrow();
  });
});

describe('an image of the local store', () => {
  const image = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b' }]] });
  const name = 'docker.io/library/local:1';
  const putImage = (): void => {
    for (const { bytes } of [image.config, ...image.layers, image.manifest]) store.blobs.put(bytes);
    store.images.put(name, {
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
  };
  const pruneAll = async (): Promise<void> => {
    store.images.remove(name);
    await prune(store, { all: true, removeTrees: () => Promise.resolve() });
  };

  test('that was resolved keeps its layers, whoever removes and prunes it', async () => {
    putImage();
    const resolved = await source.resolve(testTask(), name, amd64);
    await pruneAll();
    for (const { descriptor } of resolved.layers) expect(store.blobs.has(descriptor.digest)).toBe(true);
  });

  test('whose layers went is none, and is asked for elsewhere', async () => {
    putImage();
    store.blobs.remove(image.layers[1]?.digest ?? VERTEX);
    await expect(source.resolve(testTask(), `${server.host}/local:1`, amd64)).rejects.toThrow(code('TSB_NOT_FOUND'));
    store.images.put(`${server.host}/x:1`, {
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
    serveImage('1', image);
    const resolved = await source.resolve(testTask(), ref(), amd64);
    const layer = resolved.layers[1];
    if (!layer) throw new Error('no layer');
    await resolved.fetchLayer(testTask(), layer.descriptor, VERTEX);
    expect(store.blobs.has(layer.descriptor.digest)).toBe(true);
  });
});
