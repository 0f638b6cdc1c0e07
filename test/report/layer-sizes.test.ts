import { describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { lookIntoLayers, nothingLookedInto, recordedLayers } from '../../src/report/layer-sizes.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { blobOf, type TarMember, tar, testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';

const uncompressed = (members: readonly TarMember[]) => {
  const bytes = tar(members);
  return { ...blobOf(bytes), diffId: sha256(bytes), descriptor: { mediaType: mediaTypes.ociLayer, ...blobOf(bytes) } };
};
const first = uncompressed([
  { name: 'usr/', type: '5' },
  { name: 'usr/bin/tool', content: 'x'.repeat(3000) },
  { name: 'etc/conf', content: 'y'.repeat(500) },
]);
const second = uncompressed([{ name: 'usr/lib/part', content: 'z'.repeat(2000) }]);

describe('the layers of a build', () => {
  test('are remembered with the blob that the store has, else the size of the directory', () => {
    using opened = openStore();
    const { store } = opened;
    using lease = store.leases.create();
    const [plain, gone, bare, image] = ['COPY a', 'RUN b', 'RUN c', 'base'].map((description) =>
      store.layers.create(
        { parents: [], description, type: description === 'base' ? 'source.image' : 'regular' },
        lease,
      ),
    );
    const descriptor = (blob: typeof first) => ({
      mediaType: mediaTypes.ociLayer,
      digest: blob.digest,
      size: blob.size,
    });
    store.blobs.put(first.bytes);
    store.layers.addBlob(plain ?? '', { compression: 'none', descriptor: descriptor(first), diffId: first.diffId });
    store.layers.addBlob(gone ?? '', { compression: 'none', descriptor: descriptor(second), diffId: second.diffId });
    store.layers.prepareDirectory(bare ?? '');
    store.layers.setFs(bare ?? '', { bytes: 4096, inodes: 1 });
    const ids = [image ?? '', plain ?? '', gone ?? '', bare ?? '', 'f'.repeat(32)];
    expect(recordedLayers(store, [ids], ['linux/amd64'])).toEqual([
      { description: 'base', isForeign: true },
      { description: 'COPY a', isForeign: false, ...descriptor(first) },
      { description: 'RUN b', isForeign: false, ...descriptor(second) },
      { description: 'RUN c', isForeign: false, bytes: 4096 },
    ]);
    const two = recordedLayers(store, [[plain ?? ''], [plain ?? '']], ['linux/amd64', 'linux/arm64']);
    expect(two.map(({ platform }) => platform)).toEqual(['linux/amd64', 'linux/arm64']);
  });
});

describe('looking into layers', () => {
  const recorded = ({ digest, size }: typeof first, mediaType: string = mediaTypes.ociLayer) => ({
    description: '',
    isForeign: false,
    digest,
    size,
    mediaType,
  });

  test('finds files and directories of each, and of all together', async () => {
    using opened = openStore();
    for (const { bytes } of [first, second]) opened.store.blobs.put(bytes);
    const found = await lookIntoLayers(opened.store, testTask(), [recorded(first), recorded(second), recorded(first)]);
    expect([...found.layers.keys()]).toEqual([first.digest, second.digest]);
    expect(found.layers.get(first.digest)).toMatchObject({
      contentSize: 3500,
      files: 2,
      largestFiles: [
        { path: '/usr/bin/tool', size: 3000 },
        { path: '/etc/conf', size: 500 },
      ],
    });
    expect(found.directories[0]).toMatchObject({ path: '/usr', size: 5000 });
  });

  test('leaves out what the store does not have, or has otherwise, and what is no layer', async () => {
    using opened = openStore();
    const { store } = opened;
    store.blobs.put(first.bytes);
    const layers = [
      recorded(second),
      { ...recorded(first), size: first.size + 1 },
      { ...recorded(first), size: (1 << 30) + 1 },
      { ...recorded(first), digest: 'sha256:no' },
      recorded(first, 'application/json'),
      { description: '', isForeign: false, bytes: 7 },
    ];
    expect(await lookIntoLayers(store, testTask(), layers)).toBe(nothingLookedInto);
  });

  test('says nothing of any when one is damaged, and is no failure', async () => {
    using opened = openStore();
    const { store } = opened;
    const damaged = blobOf('no tar at all'.repeat(100));
    for (const { bytes } of [first, damaged]) store.blobs.put(bytes);
    const { digest, size } = damaged;
    const layers = [recorded(first), { ...recorded(first), digest, size }];
    expect(await lookIntoLayers(store, testTask(), layers)).toBe(nothingLookedInto);
  });

  test('ends when the command does', async () => {
    using opened = openStore();
    const image = testImage({ layers: [[{ name: 'a', content: 'a' }]] });
    for (const { bytes } of image.blobs) opened.store.blobs.put(bytes);
    const [layer] = image.layers;
    const task = testTask();
    task.controller.abort(new Error('enough'));
    const looked = lookIntoLayers(opened.store, task, [
      {
        description: '',
        isForeign: false,
        mediaType: mediaTypes.ociLayerGzip,
        digest: layer?.digest ?? '',
        size: layer?.size ?? 0,
      },
    ]);
    await expect(looked).rejects.toThrow();
  });
});
