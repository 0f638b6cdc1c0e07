import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ArchiveFile } from '../../src/exporter/index.ts';
import { IMAGE_NAME_ANNOTATION, mediaTypes, openOciLayout, REF_NAME_ANNOTATION } from '../../src/image/index.ts';
import { BlobFetcher } from '../../src/source/index.ts';
import {
  type Copy,
  planImage,
  planReferrers,
  type Selection,
  toArchive,
  toLayout,
  toStore,
} from '../../src/transfer/index.ts';
import { hexOf } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { type MemoryContent, memoryContent } from '../support/memory-content.ts';
import { testTask } from '../support/task.ts';
import { readTar } from '../support/tree.ts';
import { manifestDescriptor, wholeImage } from '../support/whole-image.ts';
import { TempDir } from '../tree/support.ts';

const image = wholeImage('targets');
const everything = (): MemoryContent => memoryContent(...image.blobs, ...image.signature.blobs, ...image.sbom.blobs);
const linux = (architecture: string): Selection => ({ what: 'one', platform: { os: 'linux', architecture } });

/** A copy as `tsbuild copy` makes it, with what refers to the image. */
async function copyOf(selection: Selection = { what: 'all' }, content = everything()) {
  const shown: (readonly [string, number])[] = [];
  const source = {
    root: image.root,
    content,
    what: 'image "app"',
    referrers: async (digest: string) =>
      digest === image.root.digest
        ? [
            {
              ...manifestDescriptor(image.signature.manifest),
              annotations: { [REF_NAME_ANNOTATION]: 'v1', other: 'x' },
            },
          ]
        : digest === image.arm64.manifest.digest
          ? [manifestDescriptor(image.sbom.manifest)]
          : [],
  };
  const plan = await planImage(source, selection);
  const copy: Copy = {
    image: plan,
    referrers: await planReferrers(source, plan),
    what: source.what,
    status: (id, current) => void shown.push([id, current]),
  };
  return { copy, shown };
}

const stdout = { write: async () => undefined } as never;
const blobsIn = (dir: string): readonly string[] => fs.readdirSync(join(dir, 'blobs/sha256')).toSorted();
const hexes = (blobs: readonly { readonly digest: string }[]): readonly string[] =>
  [...new Set(blobs.map(({ digest }) => digest.slice('sha256:'.length)))].toSorted();

describe('a layout that is copied to', () => {
  test('has the image with all that refers to it, under its names', async () => {
    using dir = new TempDir();
    const path = join(dir.path, 'made/on/demand');
    const { copy, shown } = await copyOf();
    const sent = await toLayout(path, ['v1', 'registry.test/app:2'])(testTask(), copy);
    expect(blobsIn(path)).toEqual(hexes([...image.blobs, ...image.signature.blobs, ...image.sbom.blobs]));
    for (const name of blobsIn(path)) {
      const blob = [...image.blobs, ...image.signature.blobs, ...image.sbom.blobs].find(({ digest }) =>
        digest.endsWith(name),
      );
      expect(fs.readFileSync(join(path, 'blobs/sha256', name)).equals(blob?.bytes ?? Buffer.alloc(0))).toBe(true);
    }
    using layout = openOciLayout(path);
    const entries = layout.index.manifests;
    const annotationsOf = (digest: string) =>
      entries.filter((entry) => entry.digest === digest).map(({ annotations }) => annotations);
    expect(entries).toHaveLength(4);
    expect(annotationsOf(image.root.digest)).toEqual([
      { [REF_NAME_ANNOTATION]: 'v1' },
      { [IMAGE_NAME_ANNOTATION]: 'registry.test/app:2', [REF_NAME_ANNOTATION]: '2' },
    ]);
    // Whoever signs an image does not get to name it.
    expect(annotationsOf(image.signature.manifest.digest)).toEqual([{ other: 'x' }]);
    expect(annotationsOf(image.sbom.manifest.digest)).toEqual([undefined]);
    expect(sent.there).toEqual([]);
    // Each blob begins at nothing and is told of to its end.
    for (const { digest, size } of sent.sent) expect(shown).toContainEqual([`copying ${digest}`, size]);
  });

  test('is sent nothing that it has, and keeps what else it has', async () => {
    using dir = new TempDir();
    const { copy } = await copyOf();
    await toLayout(dir.path, ['v1'])(testTask(), copy);
    const again = await toLayout(dir.path, ['v2'])(testTask(), copy);
    expect(again.sent).toEqual([]);
    expect(again.there.length).toBeGreaterThan(5);
    using layout = openOciLayout(dir.path);
    const names = layout.index.manifests.map(({ annotations }) => annotations?.[REF_NAME_ANNOTATION]).filter(Boolean);
    expect(new Set(names)).toEqual(new Set(['v1', 'v2']));
  });

  test('has a blob that is cut off written again', async () => {
    using dir = new TempDir();
    const { copy } = await copyOf(linux('amd64'));
    await toLayout(dir.path, ['v1'])(testTask(), copy);
    const [layer] = image.amd64.layers;
    const file = join(dir.path, 'blobs/sha256', hexOf(layer?.digest ?? 'sha256:'));
    fs.chmodSync(file, 0o644);
    fs.truncateSync(file, 3);
    const again = await toLayout(dir.path, ['v1'])(testTask(), copy);
    expect(again.sent.map(({ digest }) => digest)).toEqual([layer?.digest]);
    expect(fs.readFileSync(file).equals(layer?.bytes ?? Buffer.alloc(0))).toBe(true);
  });

  test('names nothing, and has nothing of a blob, where that is another one than was said', async () => {
    using dir = new TempDir();
    const content = everything();
    const { copy } = await copyOf({ what: 'all' }, content);
    const [layer] = image.amd64.layers;
    if (!layer) throw new Error('No layer');
    content.add({ digest: layer.digest, bytes: Buffer.alloc(layer.size, 'x') });
    await expect(toLayout(dir.path, ['v1'])(testTask(), copy)).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    expect(blobsIn(dir.path)).not.toContain(hexOf(layer.digest));
    expect(blobsIn(dir.path).filter((name) => !/^[0-9a-f]{64}$/.test(name))).toEqual([]);
    expect(fs.existsSync(join(dir.path, 'index.json'))).toBe(false);
  });

  test('is left as it was by a copy that is canceled', async () => {
    using dir = new TempDir();
    const { copy } = await copyOf();
    const task = testTask();
    task.controller.abort(new Error('Ctrl-C'));
    await expect(toLayout(dir.path, ['v1'])(task, copy)).rejects.toThrow('Ctrl-C');
    expect(fs.existsSync(join(dir.path, 'index.json'))).toBe(false);
  });
});

describe('an archive that is copied to', () => {
  test('is the same for the same image, and has what a layout has', async () => {
    using dir = new TempDir();
    const archive = async (name: string): Promise<Buffer> => {
      const { copy } = await copyOf();
      await toArchive({ path: join(dir.path, name), form: 'oci', names: ['v1'], stdout })(testTask(), copy);
      return fs.readFileSync(join(dir.path, name));
    };
    const first = await archive('a.tar');
    expect((await archive('b.tar')).equals(first)).toBe(true);
    const members = await readTar(first);
    const files = new Map(members.map(({ header, body }) => [header.name, body]));
    expect([...files.keys()].filter((name) => name.startsWith('blobs/sha256/') && name.length > 20)).toEqual(
      hexes([...image.blobs, ...image.signature.blobs, ...image.sbom.blobs]).map((hex) => `blobs/sha256/${hex}`),
    );
    expect(files.get('oci-layout')?.toString()).toContain('imageLayoutVersion');
    expect(files.has('manifest.json')).toBe(false);
    const { manifests } = JSON.parse(files.get('index.json')?.toString() ?? '') as { manifests: { digest: string }[] };
    expect(manifests[0]?.digest).toBe(image.root.digest);
  });

  test('for docker has one platform, and what docker load reads', async () => {
    using dir = new TempDir();
    const path = join(dir.path, 'docker.tar');
    const { copy } = await copyOf(linux('arm64'));
    await toArchive({ path, form: 'docker', names: ['docker.io/library/app:1'], stdout })(testTask(), copy);
    const files = new Map((await readTar(fs.readFileSync(path))).map(({ header, body }) => [header.name, body]));
    const [entry] = JSON.parse(files.get('manifest.json')?.toString() ?? '') as {
      Config: string;
      Layers: string[];
      RepoTags: string[];
    }[];
    expect(entry).toEqual({
      Config: `blobs/sha256/${hexOf(image.arm64.config.digest)}`,
      Layers: image.arm64.layers.map(({ digest }) => `blobs/sha256/${hexOf(digest)}`),
      RepoTags: ['app:1'],
    });
    for (const file of [entry?.Config, ...(entry?.Layers ?? [])]) expect(files.has(file ?? '')).toBe(true);
  });

  test('for docker cannot have an index: the error says what to do, and nothing is written', async () => {
    using dir = new TempDir();
    const path = join(dir.path, 'docker.tar');
    const { copy } = await copyOf();
    const write = toArchive({ path, form: 'docker', names: [], stdout });
    await expect(write(testTask(), copy)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      hint: expect.stringMatching(/--platform OS\/ARCH.*oci-archive:FILE/) as string,
    });
    expect(fs.readdirSync(dir.path)).toEqual([]);
  });

  test('keeps what it was where the copy fails', async () => {
    using dir = new TempDir();
    const path = dir.write('kept.tar', 'as it was');
    const content = everything();
    const { copy } = await copyOf({ what: 'all' }, content);
    const [layer] = image.arm64.layers;
    content.add({ digest: layer?.digest ?? 'sha256:', bytes: Buffer.alloc(layer?.size ?? 0, 'x') });
    await expect(toArchive({ path, form: 'oci', names: [], stdout })(testTask(), copy)).rejects.toMatchObject({
      code: 'TSB_DIGEST',
    });
    expect(fs.readFileSync(path, 'utf8')).toBe('as it was');
    expect(fs.readdirSync(dir.path)).toEqual(['kept.tar']);
  });

  test('can be read again as the image that it is', async () => {
    using dir = new TempDir();
    using opened = openStore();
    const path = join(dir.path, 'a.tar');
    const { copy } = await copyOf(linux('amd64'));
    await toArchive({ path, form: 'oci', names: ['v1'], stdout })(testTask(), copy);
    using archive = await ArchiveFile.open(testTask(), opened.store.blobs, { path });
    expect(archive.has('oci-layout')).toBe(true);
    expect(archive.has(`blobs/sha256/${hexOf(image.amd64.manifest.digest)}`)).toBe(true);
  });
});

describe('a store that is copied to', () => {
  test('has the image under its names, and what refers to it beside the first', async () => {
    using opened = openStore();
    const { store } = opened;
    const lease = store.leases.create();
    const fetcher = new BlobFetcher({ store, lease, now: () => 0 });
    const { copy } = await copyOf();
    const names = ['registry.test/team/app:1', 'docker.io/library/other:latest'];
    const write = toStore({ store, lease, fetcher, names });
    const sent = await write(testTask(), copy);
    expect(sent.there).toEqual([]);
    expect(
      store.images
        .list()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(
      [
        ...names,
        `registry.test/team/app@${image.signature.manifest.digest}`,
        `registry.test/team/app@${image.sbom.manifest.digest}`,
      ].toSorted(),
    );
    expect(store.images.get(names[1] ?? '')?.descriptor).toMatchObject({
      digest: image.root.digest,
      mediaType: mediaTypes.ociIndex,
    });
    for (const { digest, size } of [...image.blobs, ...image.signature.blobs])
      expect(store.blobs.has(digest, size)).toBe(true);
    expect((await write(testTask(), copy)).sent).toEqual([]);
  });

  test('has no name for what could not be brought', async () => {
    using opened = openStore();
    const { store } = opened;
    const lease = store.leases.create();
    const fetcher = new BlobFetcher({ store, lease, now: () => 0 });
    const content = everything();
    const { copy } = await copyOf({ what: 'all' }, content);
    const [layer] = image.amd64.layers;
    if (!layer) throw new Error('No layer');
    content.add({ digest: layer.digest, bytes: Buffer.alloc(layer.size, 'x') });
    const write = toStore({ store, lease, fetcher, names: ['registry.test/app:1'] });
    await expect(write(testTask(), copy)).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    expect(store.images.list()).toEqual([]);
    expect(store.blobs.has(layer.digest)).toBe(false);
  });
});
