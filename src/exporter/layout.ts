import {
  CREATED_ANNOTATION,
  type Descriptor,
  IMAGE_NAME_ANNOTATION,
  mediaTypes,
  normalizePlatform,
  REF_NAME_ANNOTATION,
  toOciPlatform,
} from '../image/index.ts';
import { type Digest, hexOf, TsbuildError } from '../util/index.ts';
import { goJson } from './go-json.ts';
import { familiarName, tagOf } from './names.ts';
import type { AssembledImage, AssembledPlatform } from './types.ts';

/** Content of the file `oci-layout`. */
export const OCI_LAYOUT_FILE = '{"imageLayoutVersion":"1.0.0"}';

/** An image with the names that it gets. */
export interface NamedImage {
  readonly image: AssembledImage;
  /** Normalised. */
  readonly names: readonly string[];
}

/** A file of an OCI layout: in memory, or a blob of the store. */
export interface LayoutFile {
  readonly path: string;
  readonly size: number;
  readonly content: Uint8Array | Digest;
}

/** Path of a blob in a layout. */
export function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** All blobs of images, each once, in byte order of their paths: documents from memory, layers from the store. */
export function layoutBlobs(images: readonly NamedImage[]): LayoutFile[] {
  const files = new Map<string, LayoutFile>();
  for (const { image } of images) {
    for (const { descriptor, bytes } of image.documents) {
      const path = blobPath(descriptor.digest);
      files.set(path, { path, size: bytes.length, content: bytes });
    }
    for (const { digest, size } of image.platforms.flatMap(({ layers }) => layers)) {
      const path = blobPath(digest);
      if (!files.has(path)) files.set(path, { path, size, content: digest });
    }
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The entries of `index.json`: one per name, all pointing at the same image, and one without name for an image without.
 * Annotations are containerd's, so that `ctr import` and skopeo find the names.
 */
export function layoutEntries(images: readonly NamedImage[]): Descriptor[] {
  return images.flatMap(({ image, names }) => {
    const { root, created } = image;
    const entry = (own: Readonly<Record<string, string>>): Descriptor => {
      const annotations = {
        ...root.annotations,
        ...own,
        ...(created === undefined ? {} : { [CREATED_ANNOTATION]: created.replace(/\.\d+/, '') }),
      };
      const sorted = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
      return rootOf(image, Object.fromEntries(sorted));
    };
    if (names.length === 0) return [entry({})];
    return names.map((name) => entry({ [IMAGE_NAME_ANNOTATION]: name, [REF_NAME_ANNOTATION]: tagOf(name) }));
  });
}

/**
 * The descriptor of an image: of its index, or of its only manifest with the platform, by which readers choose.
 * Keys are in Go's order. @param annotations instead of its own
 */
export function rootOf(
  image: AssembledImage,
  annotations: Descriptor['annotations'] = image.root.annotations,
): Descriptor {
  const { mediaType, digest, size } = image.root;
  const [only] = image.platforms;
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(only?.manifest.digest === digest ? { platform: toOciPlatform(normalizePlatform(only.platform)) } : {}),
  };
}

/** Content of `index.json`. */
export function layoutIndex(entries: readonly Descriptor[]): string {
  return goJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries });
}

/**
 * Content of `manifest.json`, which `docker load` reads.
 * @throws TsbuildError `TSB_EXPORT` for images of several platforms
 */
export function dockerManifest(images: readonly NamedImage[]): string {
  return dockerArchiveManifest(
    images.map(({ image, names }) => {
      const { config, layers } = onlyPlatform(image);
      return { config, layers, names };
    }),
  );
}

/** The same for images that are known by their manifests. @param images names are normalised, or as `docker load` is to have them */
export function dockerArchiveManifest(
  images: readonly {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
    readonly names: readonly string[];
  }[],
): string {
  return goJson(
    images.map(({ config, layers, names }) => ({
      Config: blobPath(config.digest),
      RepoTags: names.map(familiarName),
      Layers: layers.map(({ digest }) => blobPath(digest)),
    })),
  );
}

/** The platform of an image that has one and no index. @throws TsbuildError `TSB_EXPORT` */
export function onlyPlatform(image: AssembledImage): AssembledPlatform {
  const [platform, ...others] = image.platforms;
  if (platform !== undefined && others.length === 0 && image.root.digest === platform.manifest.digest) return platform;
  throw new TsbuildError(
    'TSB_EXPORT',
    'Cannot export: docker exporter does not currently support exporting manifest lists',
    {
      hint: 'use type=oci, or build for one platform',
    },
  );
}
