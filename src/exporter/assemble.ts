import {
  compressionOf,
  type Descriptor,
  dockerLayerTypes,
  formatPlatform,
  mediaTypes,
  normalizePlatform,
  ociLayerTypes,
  toOciPlatform,
} from '../image/index.ts';
import { sha256, TsbuildError } from '../util/index.ts';
import { imageConfigBytes } from './config.ts';
import { goJsonIndented, sortedMap } from './go-json.ts';
import type {
  Annotations,
  AssembledImage,
  AssembledPlatform,
  AssembleOptions,
  ImageAnnotations,
  ImageDocument,
  PlatformImage,
} from './types.ts';

/** Annotations for internal use between builder and exporter. */
const INTERNAL = /^(?:containerd\.io\/uncompressed|buildkit\/createdat|containerd\.io\/distribution\.source\..*)$/;

/**
 * Makes config, manifest and, for several platforms, index of a build's result. A pure function: the same input gives
 * the same bytes, in BuildKit's form (key order, indented manifests, compact configs).
 * @throws TsbuildError `TSB_USAGE` for annotations that have no place to go
 */
export function assembleImage(images: readonly PlatformImage[], options: AssembleOptions = {}): AssembledImage {
  const oci = options.ociMediaTypes ?? true;
  const indexed = images.length > 1 || options.forceIndex === true;
  checkAnnotations(options.annotations, oci, indexed);
  const documents: ImageDocument[] = [];
  const platforms: AssembledPlatform[] = [];
  let created: string | undefined;
  for (const image of images) {
    const annotations = annotationsFor(options.annotations, image);
    const config = imageConfigBytes(image, options.epoch);
    if (created === undefined || (config.created !== undefined && Date.parse(config.created) > Date.parse(created))) {
      created = config.created;
    }
    const configDescriptor = addDocument(documents, config.bytes, oci ? mediaTypes.ociConfig : mediaTypes.dockerConfig);
    const layers = image.layers.map(({ descriptor }) => layerDescriptor(descriptor, oci));
    const manifest = {
      schemaVersion: 2,
      mediaType: oci ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
      config: configDescriptor,
      layers,
      annotations: sortedMap(annotations.manifest),
    };
    platforms.push({
      platform: image.platform,
      manifest: withAnnotations(
        addDocument(documents, Buffer.from(goJsonIndented(manifest)), manifest.mediaType),
        annotations.manifestDescriptor,
      ),
      config: configDescriptor,
      layers,
      diffIds: image.layers.map(({ diffId }) => diffId),
    });
  }
  const [only] = platforms;
  if (only === undefined) throw new TsbuildError('TSB_INTERNAL', 'Cannot assemble an image without platforms');
  const root = indexed ? addIndex(documents, platforms, options, oci) : only.manifest;
  return { root, documents, platforms, ...(created === undefined ? {} : { created }) };
}

/** An index over the manifests, with the platform of each. */
function addIndex(
  documents: ImageDocument[],
  platforms: readonly AssembledPlatform[],
  { annotations }: AssembleOptions,
  oci: boolean,
): Descriptor {
  const index = {
    schemaVersion: 2,
    mediaType: oci ? mediaTypes.ociIndex : mediaTypes.dockerIndex,
    manifests: platforms.map(({ manifest, platform }) => ({
      ...manifest,
      platform: toOciPlatform(normalizePlatform(platform)),
    })),
    annotations: sortedMap(annotations?.index),
  };
  const descriptor = addDocument(documents, Buffer.from(goJsonIndented(index)), index.mediaType);
  return withAnnotations(descriptor, annotations?.indexDescriptor);
}

/** Documents are what registries hash, so they are made once, as bytes. */
function addDocument(documents: ImageDocument[], bytes: Uint8Array, mediaType: string): Descriptor {
  const descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
  if (!documents.some((document) => document.descriptor.digest === descriptor.digest))
    documents.push({ descriptor, bytes });
  return descriptor;
}

/** Keys in Go's order: mediaType, digest, size, annotations. */
function withAnnotations(
  { mediaType, digest, size }: Descriptor,
  annotations: Readonly<Record<string, string>> | undefined,
): Descriptor {
  const sorted = sortedMap(annotations);
  return { mediaType, digest, size, ...(sorted === undefined ? {} : { annotations: sorted }) };
}

function layerDescriptor(descriptor: Descriptor, oci: boolean): Descriptor {
  const compression = compressionOf(descriptor.mediaType);
  if (compression === undefined) {
    throw new TsbuildError(
      'TSB_EXPORT',
      `Cannot put a layer of type ${JSON.stringify(descriptor.mediaType)} into an image`,
    );
  }
  const mediaType = (oci ? ociLayerTypes : dockerLayerTypes)[compression];
  const kept = Object.entries(descriptor.annotations ?? {}).filter(([key]) => oci && !INTERNAL.test(key));
  return withAnnotations({ ...descriptor, mediaType }, Object.fromEntries(kept));
}

function annotationsFor(annotations: Annotations | undefined, { platform }: PlatformImage): ImageAnnotations {
  const own = annotations?.platforms.get(formatPlatform(normalizePlatform(platform)));
  return {
    manifest: { ...annotations?.all.manifest, ...own?.manifest },
    manifestDescriptor: { ...annotations?.all.manifestDescriptor, ...own?.manifestDescriptor },
  };
}

/** Annotations that have no place to go are an error and not dropped, as in BuildKit. */
function checkAnnotations(annotations: Annotations | undefined, oci: boolean, indexed: boolean): void {
  if (annotations === undefined) return;
  const indexKeys = Object.keys(annotations.index).length + Object.keys(annotations.indexDescriptor).length;
  const imageKeys = [annotations.all, ...annotations.platforms.values()].flatMap(({ manifest, manifestDescriptor }) => [
    ...Object.keys(manifest ?? {}),
    ...Object.keys(manifestDescriptor ?? {}),
  ]).length;
  if (!oci && indexKeys + imageKeys > 0) {
    throw new TsbuildError('TSB_USAGE', 'Cannot export: cannot export annotations with "oci-mediatypes=false"');
  }
  if (!indexed && indexKeys > 0) {
    throw new TsbuildError('TSB_USAGE', 'Cannot export: index annotations not supported for single platform export', {
      hint: 'use manifest annotations, or build for several platforms',
    });
  }
}
