import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeEach, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { blobOf, testImage } from '../support/image.ts';
import { type ArchivedImage, readOciArchive, readTar } from '../support/tree.ts';

/** An image as Windows makes them: no rights in the modes, the registry in Hives. */
const base = testImage({
  layers: [
    [
      { name: 'Hives', type: '5', mode: 0 },
      { name: 'Hives/Software_Base', content: 'registry' },
      { name: 'Files', type: '5', mode: 0 },
      { name: 'Files/License.txt', content: 'license', mode: 0 },
      { name: 'Files/Windows', type: '5', mode: 0 },
      { name: 'Files/Windows/notepad.exe', content: 'MZ', mode: 0 },
    ],
  ],
  config: { os: 'windows', 'os.version': '10.0.20348.1006', config: {} },
});

/** The files of an OCI layout with one image. */
function layout(): Record<string, Uint8Array> {
  const { digest, size } = base.manifest;
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest,
        size,
        platform: { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1006' },
      },
    ],
  };
  return {
    'oci-layout': blobOf({ imageLayoutVersion: '1.0.0' }).bytes,
    'index.json': blobOf(index).bytes,
    ...Object.fromEntries(base.blobs.map((blob) => [`blobs/${blob.digest.replace(':', '/')}`, blob.bytes])),
  };
}

describeAsEveryone('Windows images', (who) => {
  const use = useBench(who);
  beforeEach(() => void use.bench.write('win', layout()));

  const args = ['build', '--build-context=win=oci-layout://win', '-o', 'type=oci,dest=out.tar'];
  const windows = [...args, '--platform=windows/amd64'];
  const built = (): Promise<ArchivedImage> => readOciArchive(use.bench.path('out.tar'));

  /** The members of one layer, with their PAX records. */
  async function layer(image: ArchivedImage, at: number): Promise<Awaited<ReturnType<typeof readTar>>> {
    const { digest } = image.manifest.layers[at] ?? { digest: '' };
    const files = await readTar(readFileSync(use.bench.path('out.tar')));
    const blob = files.find(({ header }) => header.name === `blobs/${digest.replace(':', '/')}`);
    return readTar(gunzipSync(blob?.body ?? Buffer.alloc(0)));
  }

  test('are added to in the form that Windows reads', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM --platform=linux base:1 AS tools
RUN mkdir /t && echo tool > /t/tool.exe
FROM win
WORKDIR C:\\\\app
COPY --from=tools /t/ ./
COPY file sub/
CMD ["tool.exe"]
`,
      { file: 'x' },
    );
    await bench.ok([...windows, context]);
    const image = await built();
    expect(image.config).toMatchObject({ os: 'windows', 'os.version': '10.0.20348.1006' });
    expect(image.config.config).toMatchObject({ WorkingDir: '\\app', Cmd: ['tool.exe'] });
    // The layer of the base is passed on as it is.
    expect(image.manifest.layers[0]?.digest).toBe(base.layers[0]?.digest);
    expect(image.layers.slice(1)).toEqual([
      ['Hives/', 'Files/', 'Files/app/'],
      ['Hives/', 'Files/', 'Files/app/', 'Files/app/tool.exe'],
      ['Hives/', 'Files/', 'Files/app/', 'Files/app/sub/', 'Files/app/sub/file'],
    ]);
    expect(image.tree['/Files/app/tool.exe']?.content).toBe('tool\n');
    const [, , dir, file] = (await layer(image, 2)).map(({ header }) => header.pax as Readonly<Record<string, string>>);
    expect([dir?.['MSWINDOWS.fileattr'], file?.['MSWINDOWS.fileattr']]).toEqual(['16', '32']);
    expect(dir?.['MSWINDOWS.rawsd']).toMatch(/^AQAEgBQ/);
    expect(file?.['LIBARCHIVE.creationtime']).toMatch(/^\d+\.0$/);
    // So from the cache too. As a base, its layers are unpacked from what was written.
    await bench.ok([...windows, context]);
    expect((await built()).manifest.layers).toEqual(image.manifest.layers);
    await bench.ok([
      'build',
      '--build-context=win=oci-layout://win',
      '--platform=windows/amd64',
      '-t',
      'made',
      context,
    ]);
    const more = bench.context('FROM made\nCOPY --from=made /app/sub/file /app/sub/file2\n');
    await bench.ok([...windows, more]);
    const second = await built();
    expect(second.manifest.layers.slice(0, 4)).toEqual(image.manifest.layers);
    expect(second.layers[4]).toEqual(['Hives/', 'Files/', 'Files/app/', 'Files/app/sub/', 'Files/app/sub/file2']);
  });

  test('give their files to Linux, exports and checksums', async () => {
    const { bench } = use;
    const context = bench.context(`FROM --platform=windows/amd64 win AS files
COPY Dockerfile /Windows/
FROM scratch
COPY --from=files / /
`);
    await bench.ok([...args, context]);
    const { layers, tree } = await built();
    const files = ['License.txt', 'Windows/', 'Windows/Dockerfile', 'Windows/notepad.exe'];
    expect(layers).toEqual([files]);
    expect(tree['/Windows/notepad.exe']).toMatchObject({ content: 'MZ', mode: 0 });
    await bench.ok([
      'build',
      '--build-context=win=oci-layout://win',
      '--platform=windows/amd64',
      '--target=files',
      '-o',
      'type=tar,dest=tree.tar',
      context,
    ]);
    const members = await readTar(readFileSync(bench.path('tree.tar')));
    expect(members.map(({ header }) => header.name)).toEqual(files);
  });

  test('COPY --link is for Windows on Windows, and for Linux elsewhere', async () => {
    const { bench } = use;
    const linked = bench.context('ARG ON\nFROM $ON\nCOPY --link file /d/\n', { file: 'x' });
    for (let round = 0; round < 2; round++) {
      await bench.ok([...windows, '--build-arg=ON=win', linked]);
      expect((await built()).layers[1]).toEqual(['Hives/', 'Files/', 'Files/d/', 'Files/d/file']);
      await bench.ok([...args, '--build-arg=ON=base:1', linked]);
      expect((await built()).layers.at(-1)).toEqual(['d/', 'd/file']);
    }
  });

  test('RUN in one is refused before anything runs', async () => {
    const { bench } = use;
    const context = bench.context('FROM win\nCOPY Dockerfile /\nRUN dir\n');
    const { code, err } = await bench.tsbuild([...windows, context]);
    expect([code, err]).toEqual([1, expect.stringContaining('Linux cannot run programs for Windows')]);
    expect(err).toContain('>>> RUN dir');
    expect(err).not.toMatch(/^#\d+ .*COPY/m);
  });
});
