import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { hexOf } from '../../src/util/index.ts';
import { blobOf, type TestBlob, type TestImage, testImage } from './image.ts';

/** A manifest that is none of an image, with its blobs. */
export interface TestArtifact {
  readonly manifest: TestBlob;
  readonly blobs: readonly TestBlob[];
}

/** @param subject what it refers to */
export function artifact(type: string, subject?: Descriptor): TestArtifact {
  const layer = blobOf(`{"type":"${type}","about":${JSON.stringify(subject?.digest ?? '')}}`);
  const config = blobOf('{}');
  const manifest = blobOf({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: type,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config.digest, size: config.size },
    layers: [{ mediaType: type, digest: layer.digest, size: layer.size }],
    ...(subject === undefined ? {} : { subject }),
  });
  return { manifest, blobs: [layer, config, manifest] };
}

export function manifestDescriptor({ digest, size }: TestBlob): Descriptor {
  return { mediaType: mediaTypes.ociManifest, digest, size };
}

/** An index with two platforms and the attestation of one, a signature of the index and one of the image for arm64. */
export interface WholeImage {
  readonly index: TestBlob;
  readonly root: Descriptor;
  readonly amd64: TestImage;
  readonly arm64: TestImage;
  readonly attestation: TestArtifact;
  readonly signature: TestArtifact;
  readonly sbom: TestArtifact;
  /** What belongs to the index. */
  readonly blobs: readonly TestBlob[];
}

export const SIGNATURE = 'application/vnd.example.signature';

/** @param seed makes another one of it */
export function wholeImage(seed: string, layer: string | Uint8Array = seed): WholeImage {
  const amd64 = testImage({ layers: [[{ name: 'amd64', content: seed }], [{ name: 'data', content: layer }]] });
  const arm64 = testImage({ architecture: 'arm64', layers: [[{ name: 'arm64', content: seed }]] });
  const attestation = artifact(`application/vnd.in-toto+json`);
  const index = blobOf({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...manifestDescriptor(amd64.manifest), platform: { os: 'linux', architecture: 'amd64' } },
      { ...manifestDescriptor(arm64.manifest), platform: { os: 'linux', architecture: 'arm64' } },
      {
        ...manifestDescriptor(attestation.manifest),
        annotations: {
          'vnd.docker.reference.type': 'attestation-manifest',
          'vnd.docker.reference.digest': amd64.manifest.digest,
        },
        platform: { os: 'unknown', architecture: 'unknown' },
      },
    ],
    annotations: { seed },
  });
  const root: Descriptor = { mediaType: mediaTypes.ociIndex, digest: index.digest, size: index.size };
  return {
    index,
    root,
    amd64,
    arm64,
    attestation,
    signature: artifact(SIGNATURE, root),
    sbom: artifact('application/vnd.example.sbom', manifestDescriptor(arm64.manifest)),
    blobs: [...amd64.blobs, ...arm64.blobs, ...attestation.blobs, index],
  };
}

/** The files of a layout that has the image under a tag; what refers to it is there without one. */
export function layoutFiles(image: WholeImage, tag: string, signed = true): Record<string, string | Uint8Array> {
  const referrers = signed ? [image.signature, image.sbom] : [];
  const blobs = [...image.blobs, ...referrers.flatMap((one) => one.blobs)];
  const manifests = [
    { ...image.root, annotations: { 'org.opencontainers.image.ref.name': tag } },
    ...referrers.map(({ manifest }) => manifestDescriptor(manifest)),
  ];
  return {
    'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
    'index.json': JSON.stringify({ schemaVersion: 2, manifests }),
    ...Object.fromEntries(blobs.map(({ digest, bytes }) => [`blobs/sha256/${hexOf(digest)}`, bytes])),
  };
}
