import { compressionOf, type Descriptor, dockerLayerTypes, isIndexType, mediaTypes } from '../image/index.ts';
import { type Digest, parseStrictJson, sha256 } from '../util/index.ts';
import { goJsonIndented } from './go-json.ts';
import type { StoredImageContent, StoredPlatform } from './stored-image.ts';
import type { ImageDocument } from './types.ts';

/** By this BuildKit names, in an index, the image that an attestation is about. */
const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

type Json = Record<string, unknown>;

/** Annotations of a layer by which readers find files in its very bytes: zstd:chunked, eStargz, and others that are mounted as they are. */
const ABOUT_BYTES =
  /^(?:io\.github\.containers\.zstd-chunked\.|io\.containers\.estargz\.|containerd\.io\/snapshot\/(?:stargz|nydus|overlaybd)|com\.amazon\.soci\.)/;

/**
 * An image with other blobs for its layers: the same contents compressed in another way, so that configs stay. Manifests and indexes are
 * written anew; what is in them besides is kept.
 * @param replaced the new blobs by the digests of the old ones; layers that are not among them stay
 */
export function replaceLayers(
  image: StoredImageContent,
  replaced: ReadonlyMap<Digest, Descriptor>,
): StoredImageContent {
  /** What became of documents, by the digests that they had. */
  const renamed = new Map<Digest, Descriptor>();
  const documents: ImageDocument[] = [];
  const add = (old: Descriptor, document: Json): void => {
    const bytes = Buffer.from(goJsonIndented(document));
    const descriptor: Descriptor = { mediaType: old.mediaType, digest: sha256(bytes), size: bytes.length };
    renamed.set(old.digest, descriptor);
    documents.push({ descriptor, bytes });
  };
  for (const { descriptor, bytes } of image.documents) {
    const manifest = image.platforms.find((one) => one.manifest.digest === descriptor.digest);
    if (manifest !== undefined && manifest.layers.some(({ digest }) => replaced.has(digest))) {
      const document = read(bytes);
      const isDocker = descriptor.mediaType === mediaTypes.dockerManifest;
      add(descriptor, { ...document, layers: layersOf(document, replaced, isDocker) });
    } else if (isIndexType(descriptor.mediaType)) {
      // Documents are in the order of the walk: what an index names came before it.
      const document = read(bytes);
      add(descriptor, {
        ...document,
        manifests: (document['manifests'] as Json[]).map((entry) => renameEntry(entry, renamed)),
      });
    } else documents.push({ descriptor, bytes });
  }
  const platforms = image.platforms.map((platform): StoredPlatform => ({
    ...platform,
    manifest: { ...platform.manifest, ...renamed.get(platform.manifest.digest) },
    layers: platform.layers.map((layer) => replaced.get(layer.digest) ?? layer),
  }));
  return { ...image, root: renamed.get(image.root.digest) ?? image.root, documents, platforms };
}

function read(bytes: Uint8Array): Json {
  // The walk has looked at its form.
  return parseStrictJson(bytes, { what: 'document of an image' }) as Json;
}

function layersOf(document: Json, replaced: ReadonlyMap<Digest, Descriptor>, isDocker: boolean): readonly Json[] {
  return (document['layers'] as (Json & { digest: Digest })[]).map((layer) => {
    const blob = replaced.get(layer.digest);
    if (blob === undefined) return layer;
    const { digest, size, mediaType } = blob;
    // Where else the old bytes are, or they themselves, and what is said of where in them a file is: none of it holds for the new ones.
    const { data: _data, urls: _urls, annotations = {}, ...kept } = layer;
    const notes = Object.entries(annotations as Json).filter(([key]) => !ABOUT_BYTES.test(key));
    const compression = compressionOf(mediaType);
    const type = isDocker && compression !== undefined ? dockerLayerTypes[compression] : mediaType;
    return { ...kept, mediaType: type, digest, size, ...(notes.length === 0 ? {} : { annotations: Object.fromEntries(notes) }) }; // prettier-ignore
  });
}

function renameEntry(entry: Json, renamed: ReadonlyMap<Digest, Descriptor>): Json {
  const own = renamed.get(entry['digest'] as Digest);
  const annotations = entry['annotations'] as Record<string, string> | undefined;
  const about = renamed.get(annotations?.[REFERENCE_DIGEST] as Digest);
  const { data, ...rest } = entry;
  return {
    ...rest,
    // The old document itself.
    ...(own === undefined && data !== undefined ? { data } : {}),
    ...(own === undefined ? {} : { digest: own.digest, size: own.size }),
    ...(about === undefined ? {} : { annotations: { ...annotations, [REFERENCE_DIGEST]: about.digest } }),
  };
}
