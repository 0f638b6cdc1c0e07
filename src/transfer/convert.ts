import { isIndexType, isManifestType, mediaTypes, type Descriptor } from '../image/index.ts';
import { type Digest, parseStrictJson, sha256, TsbuildError } from '../util/index.ts';
import type { ImagePlan, PlannedDocument } from './plan.ts';

/** The form of manifests: the OCI's, or Docker's schema 2. */
export type ManifestFormat = 'oci' | 'v2s2';

type Json = Record<string, unknown>;

/** What is the same in both forms, by its media types. */
const PAIRS: readonly (readonly [oci: string, v2s2: string])[] = [
  [mediaTypes.ociIndex, mediaTypes.dockerIndex],
  [mediaTypes.ociManifest, mediaTypes.dockerManifest],
  [mediaTypes.ociConfig, mediaTypes.dockerConfig],
  [mediaTypes.ociLayer, mediaTypes.dockerLayer],
  [mediaTypes.ociLayerGzip, mediaTypes.dockerLayerGzip],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'application/vnd.docker.image.rootfs.foreign.diff.tar'],
  [
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ],
];

/**
 * An image with its manifests in another form. Blobs stay, and so does the image's id; manifests and indexes that change get another digest.
 * Docker's form has no annotations on manifests.
 * @throws TsbuildError `TSB_USAGE` for what has no counterpart in the other form: artifacts, layers in zstd
 */
export function convertImage(image: ImagePlan, format: ManifestFormat, what: string): ImagePlan {
  const types = new Map(PAIRS.map(([oci, v2s2]) => (format === 'oci' ? [v2s2, oci] : [oci, v2s2])));
  const wanted = new Set(PAIRS.map(([oci, v2s2]) => (format === 'oci' ? oci : v2s2)));
  // What has Docker's name for zstd is taken; it is not given to more, since not all who want Docker's form know it.
  if (format === 'oci') types.set(mediaTypes.dockerLayerZstd, mediaTypes.ociLayerZstd);
  else wanted.add(mediaTypes.dockerLayerZstd);
  const typeOf = (type: string): string => {
    const found = types.get(type) ?? (wanted.has(type) ? type : undefined);
    if (found !== undefined) return found;
    throw new TsbuildError('TSB_USAGE', `Cannot convert ${what} to ${format}: it has no form for ${type}`, {
      hint: 'copy one image of the index: --platform OS/ARCH; layers in zstd: tsbuild push --compression gzip',
    });
  };
  const renamed = new Map<Digest, Descriptor>();
  const documents = image.documents.map(({ descriptor, bytes }): PlannedDocument => {
    // The walk has looked at its form.
    const old = parseStrictJson(bytes, { what: 'document of an image' }) as Json;
    const mediaType = typeOf(descriptor.mediaType);
    const entry = (part: Json): Json => {
      const own = renamed.get(part['digest'] as Digest);
      const isDocument = isIndexType(String(part['mediaType'])) || isManifestType(String(part['mediaType']));
      return {
        ...part,
        mediaType: typeOf(String(part['mediaType'])),
        ...(own === undefined || !isDocument ? {} : { digest: own.digest, size: own.size }),
      };
    };
    const { annotations, ...rest } = old;
    const kept = annotations === undefined || format === 'v2s2' ? {} : { annotations };
    const document = {
      ...rest,
      // The OCI's documents need not say what they are.
      ...(old['mediaType'] === undefined && format === 'oci' ? {} : { mediaType }),
      ...(old['config'] === undefined ? {} : { config: entry(old['config'] as Json) }),
      ...(Array.isArray(old['layers']) ? { layers: (old['layers'] as Json[]).map(entry) } : {}),
      ...(Array.isArray(old['manifests']) ? { manifests: (old['manifests'] as Json[]).map(entry) } : {}),
      ...kept,
    };
    // What says the same keeps its very bytes, and so its digest.
    const before = { ...rest, ...(annotations === undefined ? {} : { annotations }) };
    const isSame = JSON.stringify(document) === JSON.stringify(before);
    const text = isSame ? bytes : Buffer.from(JSON.stringify(document));
    const made = { mediaType, digest: sha256(text), size: text.length };
    renamed.set(descriptor.digest, made);
    return { descriptor: made, bytes: text };
  });
  const bytes = new Map(documents.map((document) => [document.descriptor.digest, document.bytes]));
  return {
    root: renamed.get(image.root.digest) ?? image.root,
    documents,
    blobs: image.blobs,
    content: {
      read: (descriptor) => bytes.get(descriptor.digest) ?? image.content.read(descriptor),
      stream: (descriptor) => image.content.stream(descriptor),
    },
  };
}
