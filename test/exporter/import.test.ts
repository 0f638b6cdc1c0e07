import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type ArchiveSource,
  importArchive,
  importDirectory,
  type ImportedImage,
  type ImportOptions,
  readStoredImage,
  saveImages,
} from '../../src/exporter/index.ts';
import { type Lease, Store } from '../../src/store/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { blobOf, tar, type TarMember, testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { run, skopeo } from '../support/tools.ts';

let folder: string;
let store: Store;
let lease: Lease;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-import-'));
  store = Store.open(join(folder, 'store'), { now: () => 1000 });
  lease = store.leases.create();
});
afterEach(() => {
  store.close();
  // An ordinary user's buildah leaves files of subordinate ids.
  if (process.getuid?.() !== 0) run('buildah', 'unshare', 'rm', '-rf', folder);
  else rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const options = (more: Partial<ImportOptions> = {}): ImportOptions => ({
  store,
  lease,
  platform: { os: 'linux', architecture: 'amd64' },
  ...more,
});
async function load(bytes: Uint8Array, more: Partial<ImportOptions> = {}): Promise<ImportedImage[]> {
  writeFileSync(at('in.tar'), bytes);
  return importArchive(testTask(), { path: at('in.tar') }, options(more));
}

const image = testImage({ layers: [[{ name: 'a', content: 'a'.repeat(100_000) }], [{ name: 'b', content: 'b' }]] });
const blobName = (digest: Digest): string => `blobs/sha256/${digest.slice(7)}`;
const rootOf = (name: string | undefined) => ({
  mediaType: mediaTypes.ociManifest,
  digest: image.manifest.digest,
  size: image.manifest.size,
  ...(name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } }),
});
function ociMembers(name: string | undefined = 'docker.io/library/app:1'): TarMember[] {
  return [
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', content: JSON.stringify({ schemaVersion: 2, manifests: [rootOf(name)] }) },
    ...image.blobs.map(({ digest, bytes }) => ({ name: blobName(digest), content: bytes })),
  ];
}
const layerTars = [tar([{ name: 'a', content: 'a'.repeat(100_000) }]), tar([{ name: 'b', content: 'b' }])] as const;
function dockerMembers(layers: readonly [string, string] = ['l1/layer.tar', 'l2/layer.tar']): TarMember[] {
  return [
    {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: 'config.json', RepoTags: ['app:1', 'app:2'], Layers: layers }]),
    },
    { name: 'config.json', content: image.config.bytes },
    { name: 'l1/layer.tar', content: layerTars[0] },
    { name: 'l2/layer.tar', content: layerTars[1] },
  ];
}

/** The image is complete: skopeo can copy it, and so every digest is right. */
async function check(imported: readonly ImportedImage[], name: string): Promise<void> {
  expect(imported.flatMap(({ names }) => names)).toContain(name);
  const stdout = { write: () => true };
  await saveImages(testTask(), { store, names: [name], format: 'oci-dir', dest: at('out'), stdout });
  skopeo('copy', '-q', '--all', `oci:${at('out')}`, `dir:${at('out-dir')}`);
}

describe('OCI archives', () => {
  test('keep their digests and names', async () => {
    const imported = await load(tar(ociMembers()));
    expect(imported).toEqual([
      {
        names: ['docker.io/library/app:1'],
        descriptor: { mediaType: mediaTypes.ociManifest, digest: image.manifest.digest, size: image.manifest.size },
      },
    ]);
    for (const { digest } of image.blobs) expect(store.blobs.verify(digest)).toBe(true);
    await check(imported, 'docker.io/library/app:1');
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['gzip', (bytes) => gzipSync(bytes)],
    ['zstd', (bytes) => Buffer.from(zstdCompressSync(bytes))],
  ])('compressed with %s', async (_, compress) => {
    await check(await load(compress(tar(ociMembers()))), 'docker.io/library/app:1');
  });

  test('from a stream', async () => {
    const source: ArchiveSource = { name: '-', stream: Readable.from([...chunks(gzipSync(tar(ociMembers())))]) };
    await check(await importArchive(testTask(), source, options()), 'docker.io/library/app:1');
  });

  test('a bare tag is no name; the user can give one', async () => {
    expect((await load(tar(ociMembers('latest'))))[0]?.names).toEqual([]);
    expect((await load(tar(ociMembers('latest')), { names: ['mine'] }))[0]?.names).toEqual([
      'docker.io/library/mine:latest',
    ]);
    expect(store.images.list().map(({ name }) => name)).toEqual(['docker.io/library/mine:latest']);
  });

  test.each(['../../etc:x', 'a b:1', 'Foo:1', '-oX/y:1', 'x\n/y:1'])(
    'the malformed name %j is not used',
    async (name) => {
      expect((await load(tar(ociMembers(name))))[0]?.names).toEqual([]);
    },
  );

  test('of an index, platforms may be missing, but not all', async () => {
    const other = {
      mediaType: mediaTypes.ociManifest,
      digest: sha256('other'),
      size: 5,
      platform: { os: 'linux', architecture: 'arm64' },
    };
    const archive = (...manifests: object[]): Buffer => {
      const index = blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
      return tar([
        { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
        {
          name: 'index.json',
          content: JSON.stringify({
            schemaVersion: 2,
            manifests: [
              {
                mediaType: mediaTypes.ociIndex,
                digest: index.digest,
                size: index.size,
                annotations: { 'io.containerd.image.name': 'docker.io/library/multi:1' },
              },
            ],
          }),
        },
        { name: blobName(index.digest), content: index.bytes },
        ...image.blobs.map(({ digest, bytes }) => ({ name: blobName(digest), content: bytes })),
      ]);
    };
    const [imported] = await load(
      archive(other, { ...rootOf(undefined), platform: { os: 'linux', architecture: 'amd64' } }),
    );
    expect(imported?.names).toEqual(['docker.io/library/multi:1']);
    expect(readStoredImage(store.blobs, 'x', imported!.descriptor).platforms).toHaveLength(1);
    await expect(load(archive(other))).rejects.toThrow('none of the images of index');
  });

  const without = (name: string) => ociMembers().filter((member) => member.name !== name);
  const replaced = (name: string, content: string | Uint8Array) => [...without(name), { name, content }];
  test.each<[string, () => TarMember[]]>([
    ['a missing layer', () => without(blobName(image.layers[0]!.digest))],
    ['a missing config', () => without(blobName(image.config.digest))],
    ['a missing manifest', () => without(blobName(image.manifest.digest))],
    [
      'a layer with a flipped byte',
      () =>
        replaced(
          blobName(image.layers[0]!.digest),
          Buffer.concat([Buffer.from('X'), image.layers[0]!.bytes.subarray(1)]),
        ),
    ],
    ['a layer that is cut off', () => replaced(blobName(image.layers[0]!.digest), image.layers[0]!.bytes.subarray(1))],
    [
      'a layer with bytes behind it',
      () => replaced(blobName(image.layers[0]!.digest), Buffer.concat([image.layers[0]!.bytes, Buffer.from('X')])),
    ],
    [
      'a changed config',
      () => replaced(blobName(image.config.digest), image.config.bytes.toString().replace('amd64', 'arm64')),
    ],
    ['a layout of version 2', () => replaced('oci-layout', '{"imageLayoutVersion":"2.0.0"}')],
    ['no images', () => replaced('index.json', '{"schemaVersion":2,"manifests":[]}')],
    ['an index.json that is not JSON', () => replaced('index.json', 'x')],
    [
      'a digest that is a path',
      () =>
        replaced(
          'index.json',
          JSON.stringify({
            schemaVersion: 2,
            manifests: [{ ...rootOf('a/b:1'), digest: 'sha256:../../../etc/passwd' }],
          }),
        ),
    ],
    [
      'a blob that is a link',
      () => [
        ...without(blobName(image.config.digest)),
        { name: blobName(image.config.digest), type: '2', link: '/etc/passwd' },
      ],
    ],
    [
      'a wrong size',
      () =>
        replaced(
          'index.json',
          JSON.stringify({ schemaVersion: 2, manifests: [{ ...rootOf('a/b:1'), size: image.manifest.size - 1 }] }),
        ),
    ],
  ])('%s is an error, and nothing gets a name', async (_, members) => {
    const error: unknown = await load(tar(members())).catch((error: unknown) => error);
    expect((error as { code?: string }).code).toMatch(/^TSB_(IMAGE|DIGEST|NOT_FOUND)$/);
    expect(store.images.list()).toEqual([]);
    expect(store.blobs.has(image.manifest.digest)).toBe(false);
  });

  test.each<[string, Buffer]>([
    ['a tar that is cut off', tar(ociMembers()).subarray(0, -2000)],
    ['gzip that is cut off', gzipSync(tar(ociMembers())).subarray(0, -20)],
    ['bytes behind the gzip stream', Buffer.concat([gzipSync(tar(ociMembers())), Buffer.from('garbage')])],
    ['no tar at all', Buffer.from('hello, world'.repeat(100))],
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(10_240)],
    ['bzip2', Buffer.from('BZh91AY&SY')],
  ])('%s is an error', async (_, bytes) => {
    await expect(load(bytes)).rejects.toThrow(expect.objectContaining({ code: 'TSB_ARCHIVE' }));
  });

  test('a file that is not there is an error', async () => {
    await expect(importArchive(testTask(), { path: at('gone.tar') }, options())).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND' }),
    );
  });

  test('names of members are not paths', async () => {
    const members = [
      ...ociMembers(),
      { name: '../../../../tmp/evil', content: 'x' },
      { name: '/etc/evil', content: 'x' },
    ];
    await check(await load(tar(members)), 'docker.io/library/app:1');
  });
});

describe('docker archives', () => {
  test('of old docker versions: layers as tar, several names', async () => {
    const imported = await load(tar(dockerMembers()));
    expect(imported[0]?.names).toEqual(['docker.io/library/app:1', 'docker.io/library/app:2']);
    const stored = readStoredImage(store.blobs, 'app', imported[0]!.descriptor);
    expect(stored.platforms[0]?.config.digest).toBe(image.config.digest);
    expect(stored.platforms[0]?.layers.map(({ mediaType, digest }) => [mediaType, digest])).toEqual(
      layerTars.map((bytes) => [mediaTypes.ociLayer, sha256(bytes)]),
    );
    await check(imported, 'docker.io/library/app:1');
  });

  test('repeated layers are links', async () => {
    const twice = testImage({ layers: [[{ name: 'b', content: 'b' }], [{ name: 'b', content: 'b' }]] });
    const imported = await load(
      tar([
        {
          name: 'manifest.json',
          content: JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['l1/layer.tar', 'l2/layer.tar'] }]),
        },
        { name: 'c.json', content: twice.config.bytes },
        { name: 'l1/layer.tar', content: layerTars[1] },
        { name: 'l2/layer.tar', type: '2', link: '../l1/layer.tar' },
      ]),
    );
    expect(readStoredImage(store.blobs, 'app', imported[0]!.descriptor).platforms[0]?.layers).toHaveLength(2);
  });

  test.each([false, true])('a layer of several images is stored once (compressed: %s)', async (compress) => {
    const images = [1, 2, 3].map((number) =>
      blobOf({
        architecture: 'amd64',
        os: 'linux',
        config: { Labels: { number: String(number) } },
        rootfs: { type: 'layers', diff_ids: [sha256(layerTars[0]), sha256(layerTars[1])] },
      }),
    );
    const layers = ['l1/layer.tar', 'l2/layer.tar'];
    const manifest = images.map((_, at) => ({ Config: `${at}.json`, RepoTags: [`app:${at}`], Layers: layers }));
    const ingested = vi.spyOn(store.blobs, 'ingest');
    const imported = await load(
      tar([
        ...dockerMembers().slice(2),
        ...images.map(({ bytes }, at) => ({ name: `${at}.json`, content: bytes })),
        { name: 'manifest.json', content: JSON.stringify(manifest) },
      ]),
      { compress },
    );
    // The two layers: configs and manifests, which are in memory, are stored another way.
    expect(ingested).toHaveBeenCalledTimes(2);
    const stored = imported.map(({ descriptor }) => readStoredImage(store.blobs, 'app', descriptor).platforms[0]);
    expect(new Set(stored.map((one) => JSON.stringify(one?.layers))).size).toBe(1);
    expect(stored.map((one) => one?.imageConfig?.config.Labels?.['number'])).toEqual(['1', '2', '3']);
  });

  test('compressed layers are kept as they are', async () => {
    const members = dockerMembers().map((member) =>
      member.name === 'l1/layer.tar' ? { ...member, content: gzipSync(layerTars[0]) } : member,
    );
    const imported = await load(tar(members));
    expect(readStoredImage(store.blobs, 'app', imported[0]!.descriptor).platforms[0]?.layers[0]?.mediaType).toBe(
      mediaTypes.ociLayerGzip,
    );
    await check(imported, 'docker.io/library/app:1');
  });

  test('a layer that is not the one of the config is refused', async () => {
    await expect(load(tar(dockerMembers(['l2/layer.tar', 'l1/layer.tar'])))).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_DIGEST' }),
    );
    expect(store.images.list()).toEqual([]);
  });

  test('links in circles end', async () => {
    const members = dockerMembers().filter(({ name }) => name !== 'l1/layer.tar');
    members.push({ name: 'l1/layer.tar', type: '2', link: '../l1/layer.tar' });
    await expect(load(tar(members))).rejects.toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });
});

describe('root file systems', () => {
  const rootfs = tar([
    { name: 'bin/', type: '5' },
    { name: 'bin/sh', content: 'x', mode: 0o755 },
    { name: 'manifest.json', content: '{"not":"docker"}' },
  ]);

  test.each<[string, Uint8Array, string]>([
    ['plain, which is compressed', rootfs, mediaTypes.ociLayerGzip],
    ['gzip', gzipSync(rootfs), mediaTypes.ociLayerGzip],
    ['zstd', zstdCompressSync(rootfs), mediaTypes.ociLayerZstd],
  ])('become an image of one layer (%s)', async (_, bytes, mediaType) => {
    const imported = await load(bytes, { names: ['base:1'] });
    const [platform] = readStoredImage(store.blobs, 'base', imported[0]!.descriptor).platforms;
    const [layer] = platform?.layers ?? [];
    expect(layer?.mediaType).toBe(mediaType);
    if (bytes === rootfs) expect(gunzipSync(store.blobs.read(layer!.digest)).equals(rootfs)).toBe(true);
    else expect(layer).toMatchObject({ digest: sha256(bytes), size: bytes.length });
    expect(platform?.diffIds).toEqual([sha256(rootfs)]);
    expect(platform?.imageConfig).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      created: '1970-01-01T00:00:01Z',
      config: {},
    });
    if (mediaType === mediaTypes.ociLayerZstd) return;
    await check(imported, 'docker.io/library/base:1');
    run('umoci', 'unpack', '--rootless', '--image', `${at('out')}:1`, at('bundle'));
    expect(readFileSync(at('bundle/rootfs/bin/sh'), 'utf8')).toBe('x');
  });

  test('an image archive can be taken for one, and a root file system refused', async () => {
    const imported = await load(tar(ociMembers()), { names: ['base:1'], format: 'rootfs' });
    expect(readStoredImage(store.blobs, 'base', imported[0]!.descriptor).platforms[0]?.layers).toHaveLength(1);
    await expect(load(tar([{ name: 'bin/sh', content: 'x' }]), { format: 'image' })).rejects.toThrow(
      'neither an OCI archive nor a docker archive',
    );
  });

  test('with very many files are recognised as such', async () => {
    const members = Array.from({ length: 25_000 }, (_, index) => ({ name: `f${index}` }));
    expect(await load(tar([...members, ...ociMembers()]), { names: ['many'] })).toHaveLength(1);
  });
});

describe('what other tools write', () => {
  function ociLayout(): void {
    mkdirSync(at('layout/blobs/sha256'), { recursive: true });
    for (const member of ociMembers('1')) writeFileSync(join(at('layout'), member.name), member.content ?? '');
  }

  test.each(['oci-archive', 'docker-archive'])('skopeo: %s', async (transport) => {
    ociLayout();
    skopeo('copy', '-q', `oci:${at('layout')}:1`, `${transport}:${at('x.tar')}:docker.io/library/app:1`);
    await check(await importArchive(testTask(), { path: at('x.tar') }, options()), 'docker.io/library/app:1');
  });

  test('umoci: a layout that it changed', async () => {
    ociLayout();
    writeFileSync(at('new'), 'new');
    run('umoci', 'insert', '--rootless', '--image', `${at('layout')}:1`, at('new'), '/new');
    await check(
      await importDirectory(testTask(), at('layout'), options({ names: ['changed'] })),
      'docker.io/library/changed:latest',
    );
  });

  test('buildah: both archives', async () => {
    writeFileSync(at('Dockerfile'), 'FROM scratch\nCOPY Dockerfile /x\nCMD ["x"]\n');
    const storage = ['--root', at('buildah'), '--runroot', at('run'), '--storage-driver', 'vfs'];
    run('buildah', ...storage, 'bud', '-q', '--isolation', 'chroot', '-t', 'localhost/app:1', folder);
    for (const transport of ['oci-archive', 'docker-archive']) {
      run(
        'buildah',
        ...storage,
        'push',
        '-q',
        'localhost/app:1',
        `${transport}:${at(`${transport}.tar`)}:localhost/app:1`,
      );
      const imported = await importArchive(testTask(), { path: at(`${transport}.tar`) }, options());
      expect(imported[0]?.names, transport).toEqual(['localhost/app:1']);
      const [platform] = readStoredImage(store.blobs, 'app', imported[0]!.descriptor).platforms;
      expect(platform?.imageConfig?.config.Cmd).toEqual(['x']);
    }
  });
});

function* chunks(bytes: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += 1000) yield bytes.subarray(offset, offset + 1000);
}
