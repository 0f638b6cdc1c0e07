import { describe, expect, test } from 'vitest';
import { historyOf, instructionOf, selectImage, summarize } from '../../src/inspect/index.ts';
import { type Descriptor, type ImageManifestNode, mediaTypes, type Platform } from '../../src/image/index.ts';
import { blobOf, testImage } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';
import { manifestDescriptor, wholeImage } from '../support/whole-image.ts';

const whole = wholeImage('inspect');
const content = memoryContent(...whole.blobs);
const linux = (architecture: string, variant?: string): Platform => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
});
const select = (root: Descriptor, platform: Platform, asked: boolean, from = content) =>
  selectImage(from, root, { platform, asked, what: 'image "app"' });

describe('of an index', () => {
  test('the image for the platform, and which there are', async () => {
    for (const architecture of ['amd64', 'arm64'] as const) {
      const { image, platforms, rootBytes } = await select(whole.root, linux(architecture), true);
      expect(image.descriptor.digest).toBe(whole[architecture].manifest.digest);
      // What is for no platform, such as an attestation, is none of the image's.
      expect(platforms).toEqual(['linux/amd64', 'linux/arm64']);
      expect(Buffer.from(rootBytes).equals(whole.index.bytes)).toBe(true);
    }
  });

  test('another one when nobody asked for this platform, and an error where somebody did', async () => {
    expect((await select(whole.root, linux('s390x'), false)).image.config.architecture).toBe('amd64');
    await expect(select(whole.root, linux('s390x'), true)).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: 'Cannot find linux/s390x in image "app"',
      hint: 'it has linux/amd64, linux/arm64',
    });
  });

  test('what is missing of others does not matter', async () => {
    const some = memoryContent(whole.index, ...whole.arm64.blobs);
    expect((await select(whole.root, linux('arm64'), true, some)).image.config.architecture).toBe('arm64');
  });

  test('that has no image, what to do', async () => {
    const index = blobOf({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
    const root = { mediaType: mediaTypes.ociIndex, digest: index.digest, size: index.size };
    await expect(select(root, linux('amd64'), true, memoryContent(index))).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      hint: expect.stringContaining('--raw') as string,
    });
  });
});

describe('of an image by itself', () => {
  const arm = testImage({ architecture: 'arm', variant: 'v7' });
  const root = manifestDescriptor(arm.manifest);
  const own = memoryContent(...arm.blobs);

  test('it, whatever it is for', async () => {
    expect((await select(root, linux('amd64'), false, own)).platforms).toEqual(['linux/arm/v7']);
  });

  test('it, where the platform that was asked for runs it', async () => {
    for (const platform of [linux('arm', 'v7'), linux('arm'), linux('arm64', 'v8')])
      expect((await select(root, platform, true, own)).image.config.architecture).toBe('arm');
    await expect(select(root, linux('amd64'), true, own)).rejects.toMatchObject({ hint: 'it has linux/arm/v7' });
    // A processor of version 6 does not run what is for version 7.
    await expect(select(root, linux('arm', 'v6'), true, own)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});

describe('documents that are not what they should be', () => {
  test('are missing', async () => {
    await expect(select(whole.root, linux('amd64'), true, memoryContent())).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: `Cannot use image "app": ${whole.root.digest} is missing`,
    });
    const lacking = memoryContent(whole.amd64.manifest);
    await expect(select(manifestDescriptor(whole.amd64.manifest), linux('amd64'), true, lacking)).rejects.toThrow(
      whole.amd64.config.digest,
    );
  });

  test('are others', async () => {
    const wrong = memoryContent(...whole.blobs);
    wrong.add({ digest: whole.index.digest, bytes: Buffer.alloc(whole.index.size, ' ') });
    await expect(select(whole.root, linux('amd64'), true, wrong)).rejects.toMatchObject({ code: 'TSB_DIGEST' });
  });

  test('are too large to be looked at', async () => {
    const root = { ...whole.root, size: 1 << 30 };
    await expect(select(root, linux('amd64'), true)).rejects.toThrow('its manifest is too large');
  });
});

describe('what is said of an image', () => {
  const config = {
    created: '2024-05-06T07:08:09Z',
    author: 'me',
    config: {
      Env: ['A=b'],
      Cmd: ['sh'],
      Labels: { __proto__: 'x', team: 'a', 'with space': '' },
      ExposedPorts: { '80/tcp': {} },
      User: 'alice',
      Healthcheck: { Test: ['CMD', 'true'], Interval: 5 },
    },
    history: [
      { created_by: 'one', comment: 'first' },
      { created_by: 'two', empty_layer: true, comment: 'last' },
    ],
  };
  const image = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b', content: 'b' }]], config });
  const summaryOf = async (names: readonly string[] = [], from = image) => {
    const root = manifestDescriptor(from.manifest);
    const selected = await select(root, linux('amd64'), true, memoryContent(...from.blobs));
    return summarize(selected, root, { names, namedAt: 1_700_000_000_000 });
  };

  test('is what docker says of it, and skopeo', async () => {
    const sum = [image.config, ...image.layers].reduce((all, { size }) => all + size, 0);
    expect(await summaryOf(['docker.io/library/app:1', 'docker.io/library/app:2', 'ghcr.io/team/app:1'])).toMatchObject(
      {
        Id: image.config.digest,
        RepoTags: ['app:1', 'app:2', 'ghcr.io/team/app:1'],
        RepoDigests: [`app@${image.manifest.digest}`, `ghcr.io/team/app@${image.manifest.digest}`],
        Name: 'docker.io/library/app',
        Digest: image.manifest.digest,
        Created: '2024-05-06T07:08:09Z',
        Author: 'me',
        Comment: 'last',
        Architecture: 'amd64',
        Os: 'linux',
        Size: sum,
        Layers: image.layers.map(({ digest }) => digest),
        Env: ['A=b'],
        Metadata: { LastTagTime: '2023-11-14T22:13:20.000Z' },
        Config: {
          User: 'alice',
          Cmd: ['sh'],
          Entrypoint: null,
          Env: ['A=b'],
          WorkingDir: '',
          StopSignal: '',
          Healthcheck: { Test: ['CMD', 'true'], Interval: 5 },
        },
      },
    );
  });

  test('has every key, also of an image that says next to nothing', async () => {
    const bare = testImage({ config: { config: {}, history: [] } });
    const summary = await summaryOf([], bare);
    expect(summary).toMatchObject({
      RepoTags: [],
      RepoDigests: [],
      Name: '',
      Created: '',
      Author: '',
      Comment: '',
      History: [],
    });
    expect(Object.values(summary)).not.toContain(undefined);
    expect(Object.values(summary['Config'] as object)).not.toContain(undefined);
  });

  test('has names of the image’s own as keys of maps, so that none of them means anything to us', async () => {
    const hostile = JSON.parse('{"config":{"Labels":{"constructor":"a","toString":"b"}}}') as typeof config;
    const { Labels } = await summaryOf([], testImage({ config: hostile }));
    expect(Labels).toEqual(
      new Map([
        ['constructor', 'a'],
        ['toString', 'b'],
      ]),
    );
  });

  test('counts a layer that is there twice once', async () => {
    const twice = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'a', content: 'a' }]] });
    const [layer] = twice.layers;
    expect((await summaryOf([], twice))['Size']).toBe(twice.config.size + (layer?.size ?? 0));
  });
});

describe('the history of an image', () => {
  const layer = (name: string): Descriptor => ({
    mediaType: mediaTypes.ociLayer,
    digest: blobOf(name).digest,
    size: 1,
  });
  const node = (history: readonly object[], layers: readonly Descriptor[]) =>
    ({ config: { history }, manifest: { layers } }) as unknown as ImageManifestNode;

  test('has each layer at the step that made it', () => {
    const steps = historyOf(
      node(
        [{ created_by: 'FROM' }, { created_by: 'ENV', empty_layer: true }, { created_by: 'RUN' }],
        [layer('a'), layer('b')],
      ),
    );
    expect(steps.map(({ entry, layer: made }) => [entry.created_by, made?.digest])).toEqual([
      ['FROM', layer('a').digest],
      ['ENV', undefined],
      ['RUN', layer('b').digest],
    ]);
  });

  test('ends with layers that nobody speaks of, and says of steps that their layers are gone', () => {
    expect(historyOf(node([], [layer('a')]))).toEqual([{ entry: {}, layer: layer('a') }]);
    expect(historyOf(node([{ created_by: 'RUN' }], []))).toEqual([{ entry: { created_by: 'RUN' } }]);
  });

  test.each([
    ['/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'],
    ['/bin/sh -c echo x', 'RUN echo x'],
    ['RUN /bin/sh -c echo x # buildkit', 'RUN echo x'],
    ['RUN |2 A=1 B=two words /bin/sh -c echo $A # buildkit', 'RUN echo $A'],
    ['RUN |1 TEXT=two\nlines /bin/sh -c echo $TEXT # buildkit', 'RUN echo $TEXT'],
    ['COPY a /b # buildkit', 'COPY a /b'],
    ['RUN /bin/sh -c one &&\n    two', 'RUN one && two'],
    ['  anything   else ', 'anything else'],
    ['', ''],
  ])('%j was written as %j', (created_by, instruction) => {
    expect(instructionOf({ created_by })).toBe(instruction);
  });
});
