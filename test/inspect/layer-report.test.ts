import { array, assert, asyncProperty, constantFrom, nat, oneof, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LayersReport, reportLayers, selectImage } from '../../src/inspect/index.ts';
import { LayerTree } from '../../src/inspect/layer-tree.ts';
import { mediaTypes } from '../../src/image/index.ts';
import { type TarMember, testImage } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';
import { testTask } from '../support/task.ts';

async function report(
  layers: readonly (readonly TarMember[])[],
  history: readonly object[] = [],
): Promise<LayersReport> {
  const image = testImage({ layers, config: { history } });
  const provider = memoryContent(...image.blobs);
  const { digest, size } = image.manifest;
  const root = { mediaType: mediaTypes.ociManifest, digest, size };
  const platform = { os: 'linux', architecture: 'amd64' };
  const selected = await selectImage(provider, root, { platform, asked: false, what: 'image' });
  return reportLayers(testTask(), provider, selected.image);
}

const file = (name: string, size: number): TarMember => ({ name, content: 'x'.repeat(size) });

describe('what layers add', () => {
  test('files and directories by size; a directory of one other is left out for that', async () => {
    const { layers } = await report([
      [
        { name: 'usr', type: '5' },
        { name: 'usr/lib', type: '5' },
        file('usr/lib/a', 500),
        file('usr/lib/b', 300),
        file('usr/c', 10),
        file('d', 5),
        { name: 'usr/link', type: '2', link: 'c' },
        { name: 'usr/hard', type: '1', link: 'usr/c' },
      ],
    ]);
    expect(layers[0]).toMatchObject({
      contentSize: 815,
      files: 6,
      directories: 2,
      overwritten: 0,
      deleted: 0,
      wasted: 0,
    });
    expect(layers[0]?.largestFiles.map(({ path }) => path)).toEqual(['/usr/lib/a', '/usr/lib/b', '/usr/c', '/d']);
    expect(layers[0]?.largestDirectories).toEqual([{ path: '/usr/lib', size: 800 }]);
  });

  test('instructions stand with the layers that they made', async () => {
    const history = [
      { created_by: '/bin/sh -c #(nop) ADD file:abc in / ' },
      { created_by: 'ENV A=b', empty_layer: true },
      { created_by: 'RUN |1 A=b /bin/sh -c make   it # buildkit' },
      { created_by: 'COPY . / # buildkit' },
    ];
    const { layers } = await report([[file('a', 1)], [file('b', 1)], [file('c', 1)], [file('d', 1)]], history);
    expect(layers.map(({ instruction }) => instruction)).toEqual(['ADD file:abc in /', 'RUN make it', 'COPY . /', '']);
  });

  test.each<[string, readonly (readonly TarMember[])[], Partial<LayersReport>]>([
    ['a file that is overwritten', [[file('a', 100)], [file('a', 7)]], { wasted: 100, contentSize: 107 }],
    ['a file that is deleted', [[file('d/a', 100)], [file('d/.wh.a', 0)]], { wasted: 100 }],
    ['a directory that is deleted', [[file('d/a', 100), file('d/e/b', 50)], [file('.wh.d', 0)]], { wasted: 150 }],
    [
      'an opaque directory keeps its own',
      [[file('d/a', 100)], [file('d/b', 9), file('d/.wh..wh..opq', 0)]],
      { wasted: 100 },
    ],
    [
      'a mark beside what is new under the name',
      [[file('d/a', 100)], [file('d/a', 9), file('d/.wh.a', 0)]],
      { wasted: 100 },
    ],
    ['a directory in the place of a file', [[file('a', 100)], [file('a/b', 9)]], { wasted: 100 }],
    ['a file in the place of a directory', [[file('a/b', 100)], [file('a', 9)]], { wasted: 100 }],
    [
      'what was wasted once is not wasted twice',
      [[file('a', 100)], [file('.wh.a', 0)], [file('a', 5)], [file('.wh.a', 0)]],
      { wasted: 105 },
    ],
    [
      'a mark of nothing',
      [[file('a', 100)], [file('.wh.b', 0), file('.wh..wh.plnk', 0)]],
      { wasted: 0, efficiency: 1 },
    ],
    [
      'marks that name nothing',
      [[file('d/e/a', 100)], [file('d/e/.wh.', 0), file('d/e/.wh..', 0), file('d/e/.wh...', 0), file('.wh.', 0)]],
      { wasted: 0, efficiency: 1 },
    ],
    [
      'names that lead nowhere',
      [[file('../../a', 10), file('./b//c', 10), file('/', 0)], [file('a', 1)]],
      { wasted: 10 },
    ],
  ])('%s', async (_, layers, expected) => {
    expect(await report(layers)).toMatchObject(expected);
  });

  test('whatever is done, what is wasted and what is left are all that there is', async () => {
    const path = constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/a', 'd', 'd/e');
    const member = oneof(
      record({ path, size: nat(50) }).map(({ path: name, size }) => file(name, size)),
      path.map((name) => file(name.replace(/[^/]*$/, '.wh.$&'), 0)),
    );
    await assert(
      asyncProperty(array(array(member, { maxLength: 4 }), { minLength: 1, maxLength: 4 }), async (drawn) => {
        // A layer has a path once, and no path below a file of its own.
        const layers = drawn.map((members) =>
          members.filter(({ name }, at) => {
            const plain = (text: string): string => text.replace('.wh.', '');
            return members.slice(0, at).every((other) => {
              const [one, two] = [plain(name), plain(other.name)];
              return one !== two && !one.startsWith(`${two}/`) && !two.startsWith(`${one}/`);
            });
          }),
        );
        // The same by paths alone, without a tree.
        const left = new Map<string, number>();
        for (const members of layers)
          for (const { name, content = '' } of members) {
            const target = name.replace('.wh.', '');
            for (const known of left.keys())
              if (
                known === target ||
                known.startsWith(`${target}/`) ||
                (target === name && target.startsWith(`${known}/`))
              )
                left.delete(known);
            if (target === name) left.set(target, content.length);
          }
        const seen = [...left.values()].reduce((sum, size) => sum + size, 0);
        const { contentSize, wasted, layers: reports } = await report(layers);
        expect(contentSize - wasted).toBe(seen);
        expect(reports.reduce((sum, layer) => sum + layer.wasted, 0)).toBe(wasted);
      }),
      { numRuns: 300 },
    );
  });

  test('a path that is deeper than can be unpacked is refused at once', async () => {
    await expect(report([[file(`${'d/'.repeat(200_000)}f`, 1)]])).rejects.toThrow(
      /^Cannot look into the layers: "d\/d\/.{1,400}" is more than 1000 directories deep$/,
    );
  });

  test('paths that are longer together than any image has end it', () => {
    const tree = new LayerTree();
    const name = 'n'.repeat(2 ** 20);
    for (let layer = 0; layer < 512; layer++) tree.put(name, 1, layer);
    expect(() => tree.put('f', 1, 512)).toThrow(
      'Cannot look into the layers: their paths have more than 536870912 bytes',
    );
  });

  test('directories as deep as can be unpacked are counted', async () => {
    const path = 'd/'.repeat(999);
    const { largestDirectories, layers } = await report([
      Array.from({ length: 50 }, (_, at) => file(`${at}/${path.slice(2)}f`, 7)),
    ]);
    expect(layers[0]?.largestDirectories).toHaveLength(10);
    expect(largestDirectories).toHaveLength(40);
    expect(largestDirectories[0]).toEqual({ path: `/0/${path.slice(2, -1)}`, size: 7 });
  });

  test('a layer with other content is refused', async () => {
    const image = testImage();
    const provider = memoryContent(...image.blobs);
    const { digest, size } = image.manifest;
    const root = { mediaType: mediaTypes.ociManifest, digest, size };
    const selected = await selectImage(provider, root, {
      platform: { os: 'linux', architecture: 'amd64' },
      asked: true,
      what: 'image',
    });
    const [layer] = image.layers;
    const other = testImage({ layers: [[file('other', 3)]] }).layers[0];
    provider.add({ digest: layer?.digest ?? digest, bytes: other?.bytes ?? Buffer.alloc(0) });
    await expect(reportLayers(testTask(), provider, selected.image)).rejects.toThrow(/another digest/);
  });
});
