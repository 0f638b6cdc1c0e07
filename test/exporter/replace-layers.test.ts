import { describe, expect, test } from 'vitest';
import { replaceLayers } from '../../src/exporter/replace-layers.ts';
import type { StoredImageContent } from '../../src/exporter/index.ts';
import { type Descriptor, mediaTypes, parsePlatform } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';

type Json = Record<string, unknown>;

const layerOf = (name: string, more: Json = {}): Json => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: sha256(name),
  size: name.length,
  ...more,
});

/** An image whose one manifest has these layers. */
function imageOf(layers: readonly Json[], mediaType: string = mediaTypes.ociManifest): StoredImageContent {
  const config = { mediaType: mediaTypes.ociConfig, digest: sha256('config'), size: 6 };
  const document = {
    schemaVersion: 2,
    mediaType,
    config,
    layers,
    annotations: { note: 'kept' },
    other: { kept: true },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  const manifest: Descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
  const platform = parsePlatform('linux/amd64');
  return {
    root: manifest,
    documents: [{ descriptor: manifest, bytes }],
    platforms: [{ platform, manifest, config, layers: layers as unknown as Descriptor[], diffIds: [] }],
  };
}

/** The manifest of an image after some of its layers were replaced. */
function replaced(image: StoredImageContent, ...blobs: readonly [name: string, blob: Descriptor][]): Json {
  const changed = replaceLayers(image, new Map(blobs.map(([name, blob]) => [sha256(name), blob])));
  const [document] = changed.documents;
  const bytes = document?.bytes ?? new Uint8Array();
  // What is named is what is there, wherever it is named.
  expect(document?.descriptor).toEqual(changed.root);
  expect(changed.root).toMatchObject({ digest: sha256(bytes), size: bytes.length });
  expect(changed.platforms[0]?.manifest).toMatchObject({ digest: sha256(bytes), size: bytes.length });
  return JSON.parse(Buffer.from(bytes).toString()) as Json;
}

const zstd: Descriptor = { mediaType: mediaTypes.ociLayerZstd, digest: sha256('other bytes'), size: 11 };

describe('the descriptor of a layer whose bytes are others', () => {
  test('has the type, digest and size of these, and what is said of the files in them', () => {
    const annotations = { 'org.example.layer': 'base', 'containerd.io/uncompressed': sha256('tar') };
    const manifest = replaced(imageOf([layerOf('a', { annotations }), layerOf('b')]), ['a', zstd]);
    expect(manifest['layers']).toEqual([{ ...zstd, annotations }, layerOf('b')]);
    expect(manifest).toMatchObject({ annotations: { note: 'kept' }, other: { kept: true } });
  });

  // containers/image takes a layer for zstd:chunked, stargz-snapshotter for eStargz, by these, and looks for files where they say.
  test.each([
    'io.github.containers.zstd-chunked.manifest-checksum',
    'io.github.containers.zstd-chunked.manifest-position',
    'io.github.containers.zstd-chunked.tarsplit-position',
    'containerd.io/snapshot/stargz/toc.digest',
    'io.containers.estargz.uncompressed-size',
    'containerd.io/snapshot/nydus-blob',
    'containerd.io/snapshot/overlaybd/blob-digest',
  ])('has no %s, which is about the old bytes', (key) => {
    const annotations = { [key]: 'x' };
    const image = imageOf([layerOf('a', { annotations }), layerOf('b', { annotations })]);
    const [changed, kept] = replaced(image, ['a', zstd])['layers'] as [Json, Json];
    expect(changed).toEqual(zstd);
    expect(kept['annotations']).toEqual(annotations);
  });

  test('has neither the old bytes themselves nor other places for them (image-spec, descriptor.md)', () => {
    const more = {
      data: Buffer.from('a').toString('base64'),
      urls: ['https://elsewhere.example/a'],
      platform: { os: 'linux' },
    };
    const [changed] = replaced(imageOf([layerOf('a', more)]), ['a', zstd])['layers'] as [Json];
    expect(changed).toEqual({ ...zstd, platform: { os: 'linux' } });
  });

  test.each([
    [mediaTypes.ociLayer, mediaTypes.dockerLayer],
    [mediaTypes.ociLayerGzip, mediaTypes.dockerLayerGzip],
    // podman 5 refuses the OCI's name there, and knows this.
    [mediaTypes.ociLayerZstd, mediaTypes.dockerLayerZstd],
  ])("of type %s is %s in a manifest of Docker's", (mediaType, docker) => {
    const image = imageOf([layerOf('a', { mediaType: mediaTypes.dockerLayerGzip })], mediaTypes.dockerManifest);
    const [changed] = replaced(image, ['a', { ...zstd, mediaType }])['layers'] as [Json];
    expect(changed['mediaType']).toBe(docker);
  });

  test('is in a manifest that an index names by its new digest, without the old manifest in it', () => {
    const image = imageOf([layerOf('a')]);
    const [inner] = image.documents;
    const other = { mediaType: mediaTypes.ociManifest, digest: sha256('other'), size: 5, data: 'b3RoZXI=' };
    const named = { ...inner?.descriptor, data: 'b2xk', platform: { os: 'linux', architecture: 'amd64' } };
    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [named, other] }),
    );
    const index = { mediaType: mediaTypes.ociIndex, digest: sha256(bytes), size: bytes.length };
    const whole = { ...image, root: index, documents: [...image.documents, { descriptor: index, bytes }] };
    const { documents, root } = replaceLayers(whole, new Map([[sha256('a'), zstd]]));
    expect(documents.map(({ descriptor }) => descriptor.digest)).toEqual(documents.map((one) => sha256(one.bytes)));
    expect(root).toEqual(documents[1]?.descriptor);
    const { manifests } = JSON.parse(Buffer.from(documents[1]?.bytes ?? []).toString()) as { manifests: Json[] };
    expect(manifests).toEqual([{ ...documents[0]?.descriptor, platform: named.platform }, other]);
  });

  test('is the same for each place that the layer has', () => {
    const manifest = replaced(imageOf([layerOf('a'), layerOf('b'), layerOf('a')]), ['a', zstd]);
    expect((manifest['layers'] as Json[]).map(({ digest }) => digest)).toEqual([zstd.digest, sha256('b'), zstd.digest]);
  });
});
