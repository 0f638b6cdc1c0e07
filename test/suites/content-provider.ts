import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ContentProvider, type Descriptor, type ImageNode, mediaTypes, walk } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { blobOf, type TestBlob, testImage } from '../support/image.ts';

/** A place with images, filled by the suite. */
export interface ProviderFixture extends AsyncDisposable {
  readonly provider: ContentProvider;
}

/** What a place is filled with: blobs, and those of them that are manifests and indexes. */
export interface ProviderContent {
  readonly blobs: readonly TestBlob[];
  readonly documents: readonly Descriptor[];
}

const image = testImage({ layers: [[{ name: 'a', content: 'a'.repeat(3_000_000) }], [{ name: 'b' }]] });
const arm = testImage({ architecture: 'arm64' });
const describeBlob = (mediaType: string, { digest, size }: TestBlob): Descriptor => ({ mediaType, digest, size });
const manifests = [image, arm].map(({ manifest }) => describeBlob(mediaTypes.ociManifest, manifest));
const index = blobOf({
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [
    { ...manifests[0], platform: { os: 'linux', architecture: 'amd64' } },
    { ...manifests[1], platform: { os: 'linux', architecture: 'arm64' } },
  ],
});
const root = describeBlob(mediaTypes.ociIndex, index);
/** Large enough to come in several chunks, and without any pattern that a mistake in their order could hide in. */
const large = blobOf(
  Buffer.concat(Array.from({ length: 100_000 }, (_, at) => Buffer.from(sha256(String(at)).slice(7, 47)))),
);
const empty = blobOf('');
const absent: Descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256('nobody has this'), size: 15 };

/**
 * The contract of `ContentProvider`, for every place that images come from.
 * @param fill makes a place that has this content and nothing else
 */
export function contentProviderSuite(name: string, fill: (content: ProviderContent) => Promise<ProviderFixture>): void {
  describe(`content provider: ${name}`, () => {
    let fixture: ProviderFixture;
    let provider: ContentProvider;
    beforeAll(async () => {
      fixture = await fill({
        blobs: [...image.blobs, ...arm.blobs, index, large, empty],
        documents: [...manifests, root],
      });
      provider = fixture.provider;
    });
    afterAll(async () => fixture[Symbol.asyncDispose]());

    test('reads documents whole', async () => {
      expect(await read(provider, root)).toEqual(index.bytes);
      expect(await read(provider, describeBlob(mediaTypes.ociManifest, arm.manifest))).toEqual(arm.manifest.bytes);
      expect(await read(provider, describeBlob(mediaTypes.ociConfig, image.config))).toEqual(image.config.bytes);
    });

    test('what was read stays as it is when more is read', async () => {
      const first = await provider.read(root);
      await provider.read(describeBlob(mediaTypes.ociConfig, image.config));
      expect(Buffer.from(first ?? [])).toEqual(index.bytes);
    });

    test('streams blobs of any size, twice and at the same time', async () => {
      const layer = describeBlob(mediaTypes.ociLayer, large);
      const [one, two, none] = await Promise.all([
        collect(provider, layer),
        collect(provider, layer),
        collect(provider, describeBlob(mediaTypes.ociLayer, empty)),
      ]);
      expect(sha256(one)).toBe(large.digest);
      expect(sha256(two)).toBe(large.digest);
      expect(none).toHaveLength(0);
    });

    test('a stream can be given up', async () => {
      for await (const chunk of provider.stream(describeBlob(mediaTypes.ociLayer, large))) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(await read(provider, root)).toEqual(index.bytes);
    });

    test('what is not there reads as undefined, and its stream fails as not found', async () => {
      expect(await provider.read(absent)).toBeUndefined();
      expect(await provider.read({ ...absent, mediaType: mediaTypes.ociManifest })).toBeUndefined();
      await expect(collect(provider, absent)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    });

    test('more bytes than the descriptor says are never returned', async () => {
      const lies = { ...describeBlob(mediaTypes.ociConfig, image.config), size: 10 };
      await expect((async () => provider.read(lies))()).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    });

    test('an image can be walked from its index to its layers', async () => {
      const nodes: ImageNode[] = [];
      for await (const node of walk(provider, root, { what: 'image "x"' })) nodes.push(node);
      expect(nodes.map(({ kind, descriptor }) => [kind, descriptor.digest])).toEqual([
        ['image', image.manifest.digest],
        ['image', arm.manifest.digest],
        ['index', index.digest],
      ]);
      for (const node of nodes) {
        if (node.kind !== 'image') continue;
        for (const layer of node.manifest.layers) expect(sha256(await collect(provider, layer))).toBe(layer.digest);
      }
    });
  });
}

async function read(provider: ContentProvider, descriptor: Descriptor): Promise<Buffer> {
  const bytes = await provider.read(descriptor);
  if (bytes === undefined) throw new Error(`${descriptor.digest} is missing`);
  return Buffer.from(bytes);
}

async function collect(provider: ContentProvider, descriptor: Descriptor): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of provider.stream(descriptor)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
