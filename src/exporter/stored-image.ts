import {
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  parseImageConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  mediaTypes,
  normalizePlatform,
  type Platform,
} from '../image/index.ts';
import { MAX_MANIFEST_BYTES } from '../registry/index.ts';
import type { BlobDir } from '../store/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { AssembledImage, AssembledPlatform, ImageDocument } from './types.ts';

const CONFIG_TYPES: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];

/** One platform of a stored image, with its config where that is an image's (attestations have other ones). */
export interface StoredPlatform extends AssembledPlatform {
  readonly imageConfig?: ImageConfig;
}

/** An image read from the store. */
export interface StoredImageContent extends AssembledImage {
  readonly platforms: readonly StoredPlatform[];
}

/**
 * Reads an image of the local image store: its documents, and what they say about its layers. Of an index, images of other
 * platforms may be missing.
 * @param name for messages
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_DIGEST`, `TSB_IMAGE`
 */
export function readStoredImage(blobs: BlobDir, name: string, root: Descriptor): StoredImageContent {
  const documents: ImageDocument[] = [];
  const platforms: StoredPlatform[] = [];
  const visit = (descriptor: Descriptor, depth: number): void => {
    if (documents.some((document) => document.descriptor.digest === descriptor.digest)) return;
    const bytes = blobs.read(descriptor.digest, MAX_MANIFEST_BYTES);
    const what = `${descriptor.digest} of image ${JSON.stringify(name)}`;
    if (isManifestType(descriptor.mediaType)) {
      const manifest = parseManifest(bytes, descriptor.mediaType, `manifest ${what}`);
      const configBytes = blobs.read(manifest.config.digest, MAX_CONFIG_BYTES);
      const isAttestation = descriptor.platform?.os === 'unknown';
      const imageConfig =
        CONFIG_TYPES.includes(manifest.config.mediaType) && !isAttestation
          ? parseImageConfig(configBytes, `config of ${what}`)
          : undefined;
      documents.push({ descriptor: plain(manifest.config), bytes: configBytes });
      platforms.push({
        platform: platformOf(descriptor, imageConfig),
        manifest: descriptor,
        config: manifest.config,
        layers: manifest.layers,
        diffIds: imageConfig?.rootfs.diff_ids ?? [],
        ...(imageConfig === undefined ? {} : { imageConfig }),
      });
    } else {
      if (depth > 3)
        throw new TsbuildError('TSB_IMAGE', `Cannot use image ${JSON.stringify(name)}: indexes are nested too deeply`);
      const { manifests } = parseIndex(bytes, descriptor.mediaType, `index ${what}`);
      for (const child of manifests) {
        const isDocument = isIndexType(child.mediaType) || isManifestType(child.mediaType);
        if (isDocument && blobs.has(child.digest)) visit(child, depth + 1);
      }
    }
    documents.push({ descriptor: plain(descriptor), bytes });
  };
  visit(root, 0);
  if (platforms.length === 0)
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot use image ${JSON.stringify(name)}: none of its platforms is in the store`,
    );
  const times = platforms.flatMap(({ imageConfig }) => imageConfig?.created ?? []);
  const created = times.sort((a, b) => Date.parse(b) - Date.parse(a))[0];
  return { root: plain(root), documents, platforms, ...(created === undefined ? {} : { created }) };
}

/**
 * The part of a stored image for one platform, as an image of its own.
 * @throws TsbuildError `TSB_NOT_FOUND`
 */
export function selectPlatform(image: StoredImageContent, wanted: Platform, name: string): StoredImageContent {
  const text = formatPlatform(normalizePlatform(wanted));
  const found = image.platforms.find(({ platform }) => formatPlatform(platform) === text);
  if (found === undefined) {
    const offered = image.platforms.map(({ platform }) => formatPlatform(platform)).join(', ');
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot find ${text} in image ${JSON.stringify(name)}`, {
      hint: `it has ${offered}`,
    });
  }
  const wantedDigests = new Set([found.config.digest, found.manifest.digest]);
  const created = found.imageConfig?.created;
  return {
    root: plain(found.manifest),
    documents: image.documents.filter(({ descriptor }) => wantedDigests.has(descriptor.digest)),
    platforms: [found],
    ...(created === undefined ? {} : { created }),
  };
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function platformOf({ platform }: Descriptor, config: ImageConfig | undefined): Platform {
  const source = platform ?? config;
  if (source === undefined) return hostPlatform();
  const { os, architecture, variant } = source;
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
}
