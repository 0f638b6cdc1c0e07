import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ArchiveFile, type ImportOptions, importFromDocker, readStoredImage } from '../../src/exporter/index.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore, type TestStore } from '../store/support.ts';
import { blobOf, tar, type TarMember } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { TempDir } from '../tree/support.ts';

let opened: TestStore;
let dir: TempDir;
beforeAll(() => {
  opened = openStore();
  dir = new TempDir();
});
afterEach(() => {
  for (const { name } of opened.store.images.list()) opened.store.images.remove(name);
});
afterAll(() => {
  opened[Symbol.dispose]();
  dir[Symbol.dispose]();
});

interface Entry {
  readonly names?: readonly string[] | null;
  /** One file in each layer. */
  readonly layers: readonly string[];
  readonly change?: (entry: Record<string, unknown>) => void;
}

const layerOf = (content: string): Buffer => tar([{ name: 'file', content }]);

/** An archive as `docker save` wrote them before it had layouts in them. */
function archiveOf(
  entries: readonly Entry[],
  pack: (layer: Buffer) => Buffer = (layer) => layer,
): readonly TarMember[] {
  const members: TarMember[] = [];
  const manifest = entries.map(({ names = null, layers, change }, index) => {
    const config = blobOf({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { index: String(index) } },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => sha256(layerOf(layer))) },
    });
    members.push({ name: `${config.digest.slice(7)}.json`, content: config.bytes });
    for (const layer of layers) members.push({ name: `${layer}/layer.tar`, content: pack(layerOf(layer)) });
    const entry = {
      Config: `${config.digest.slice(7)}.json`,
      RepoTags: names,
      Layers: layers.map((layer) => `${layer}/layer.tar`),
    };
    change?.(entry);
    return entry;
  });
  return [...members, { name: 'manifest.json', content: JSON.stringify(manifest) }];
}

/** Takes an image out of an archive, as `tsbuild copy docker-archive:FILE[:NAME]` does. */
async function take(members: readonly TarMember[], wanted?: string, given: Partial<ImportOptions> = {}) {
  const path = join(dir.path, 'archive.tar');
  fs.writeFileSync(path, tar(members));
  const { store } = opened;
  using archive = await ArchiveFile.open(testTask(), store.blobs, { path });
  using lease = store.leases.create();
  const options = {
    store,
    lease,
    platform: { os: 'linux', architecture: 'amd64' },
    names: ['localhost/taken:1'],
    ...given,
  };
  const { names, descriptor } = await importFromDocker(testTask(), archive, wanted, options);
  return { names, image: readStoredImage(store.blobs, 'taken', descriptor) };
}

const labelOf = ({ image }: Awaited<ReturnType<typeof take>>): string | undefined =>
  image.platforms[0]?.imageConfig?.config.Labels?.['index'];

describe('an image of a docker archive', () => {
  const two = archiveOf([
    { names: ['app:1', 'ghcr.io/team/app:1'], layers: ['one', 'two'] },
    { names: ['other:latest'], layers: ['three'] },
  ]);

  test.each([
    ['docker.io/library/app:1', '0'],
    ['ghcr.io/team/app:1', '0'],
    ['docker.io/library/other:latest', '1'],
  ])('is chosen by any of its names: %s', async (wanted, label) => {
    const taken = await take(two, wanted);
    expect(labelOf(taken)).toBe(label);
    expect(taken.names).toEqual(['localhost/taken:1']);
    expect(opened.store.images.list().map(({ name }) => name)).toEqual(['localhost/taken:1']);
  });

  test('needs no name where it is the only one', async () => {
    expect(labelOf(await take(archiveOf([{ layers: ['one'] }])))).toBe('0');
  });

  test('is not guessed among several, and the names that there are are told', async () => {
    await expect(take(two)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringMatching(/^Cannot choose an image of .*: it has 2$/) as string,
      hint: 'it has "app:1", "ghcr.io/team/app:1", "other:latest"',
    });
    await expect(take(two, 'docker.io/library/app:2')).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringMatching(/^Cannot find "docker\.io\/library\/app:2" in /) as string,
    });
    expect(opened.store.images.list()).toEqual([]);
  });

  test('of many names ten are told, and how many more there are', async () => {
    const names = Array.from({ length: 13 }, (_, at) => `app:${at}`);
    await expect(take(archiveOf([{ names, layers: ['one'] }]), 'docker.io/library/x:1')).rejects.toMatchObject({
      hint: expect.stringMatching(/^it has "app:0", .*, "app:9" and 3 more$/) as string,
    });
  });

  test('of several without a name cannot be chosen, and what else can be done is told', async () => {
    const nameless = archiveOf([{ names: ['<none>:<none>'], layers: ['one'] }, { layers: ['two'] }]);
    await expect(take(nameless)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: expect.stringMatching(/^none of them has a name, .*"tsbuild load"/) as string,
    });
  });

  test('is none where there is none', async () => {
    await expect(take(archiveOf([]))).rejects.toMatchObject({ code: 'TSB_IMAGE', message: /it has no images/ });
  });

  test('has layers as they are, or compressed where they are to go on to a registry, and the same id', async () => {
    const members = archiveOf([{ layers: ['one', 'two'] }]);
    const plain = await take(members);
    const packed = await take(members, undefined, { compress: true });
    expect(plain.image.platforms[0]?.layers.map(({ mediaType, digest }) => [mediaType, digest])).toEqual(
      ['one', 'two'].map((layer) => [mediaTypes.ociLayer, sha256(layerOf(layer))]),
    );
    expect(packed.image.platforms[0]?.config.digest).toBe(plain.image.platforms[0]?.config.digest);
    for (const [at, layer] of (packed.image.platforms[0]?.layers ?? []).entries()) {
      expect(layer.mediaType).toBe(mediaTypes.ociLayerGzip);
      expect(gunzipSync(opened.store.blobs.read(layer.digest, 1 << 20)).equals(layerOf(['one', 'two'][at] ?? ''))).toBe(
        true,
      );
    }
  });

  test('whose layer is in the store already is not written there again, and heals it where it was damaged', async () => {
    const members = archiveOf([{ layers: ['one', 'two'] }]);
    const { image } = await take(members);
    const path = (at: number): string => opened.store.blobs.path(image.platforms[0]!.layers[at]!.digest);
    const inodes = (): number[] => [0, 1].map((at) => fs.lstatSync(path(at)).ino);
    const before = inodes();
    fs.chmodSync(path(1), 0o600);
    const right = fs.readFileSync(path(1));
    fs.writeFileSync(path(1), Buffer.alloc(right.length));
    await take(members);
    expect(inodes()[0]).toBe(before[0]);
    expect(fs.readFileSync(path(1)).equals(right)).toBe(true);
  });

  test('whose layer is not in the archive is refused, also where the store has it', async () => {
    await take(archiveOf([{ layers: ['one'] }]));
    const members = archiveOf([{ layers: ['one'] }]).filter(({ name }) => name !== 'one/layer.tar');
    await expect(take(members)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  test('whose layers are compressed keeps these very bytes', async () => {
    const { image } = await take(
      archiveOf([{ layers: ['one'] }], (layer) => gzipSync(layer)),
      undefined,
      { compress: true },
    );
    expect(image.platforms[0]?.layers.map(({ mediaType, digest }) => [mediaType, digest])).toEqual([
      [mediaTypes.ociLayerGzip, sha256(gzipSync(layerOf('one')))],
    ]);
  });

  test.each<[string, Entry['change'], string]>([
    ['fewer layers than its config', (entry) => (entry['Layers'] = ['one/layer.tar']), 'TSB_IMAGE'],
    ['layers in another order', (entry) => (entry['Layers'] = ['two/layer.tar', 'one/layer.tar']), 'TSB_DIGEST'],
    ['a layer that is not there', (entry) => (entry['Layers'] = ['one/layer.tar', 'gone/layer.tar']), 'TSB_'],
    ['a config that is not there', (entry) => (entry['Config'] = '../../etc/passwd'), 'TSB_'],
    ['names that are no list', (entry) => (entry['RepoTags'] = 'app:1'), 'TSB_IMAGE'],
    ['no config', (entry) => delete entry['Config'], 'TSB_IMAGE'],
  ])('with %s is refused, and gets no name', async (_, change, code) => {
    const members = archiveOf([{ layers: ['one', 'two'], ...(change === undefined ? {} : { change }) }]);
    await expect(take(members)).rejects.toMatchObject({ code: expect.stringContaining(code) as string });
    expect(opened.store.images.list()).toEqual([]);
  });

  test('with names that are none has the others', async () => {
    const members = archiveOf([{ names: ['UPPER:1', '../x', 'good:1'], layers: ['one'] }]);
    expect((await take(members, 'docker.io/library/good:1')).names).toEqual(['localhost/taken:1']);
    const own = await take(members, undefined, { names: [] });
    expect(own.names).toEqual(['docker.io/library/good:1']);
  });
});
