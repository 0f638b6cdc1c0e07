import {
  type Descriptor,
  faultError,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  normalizePlatform,
  type Platform,
  walkSync,
} from '../image/index.ts';
import { blobContent, type BlobDir } from '../store/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { AssembledImage, AssembledPlatform, ImageDocument } from './types.ts';

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
  const what = `image ${JSON.stringify(name)}`;
  for (const node of walkSync(blobContent(blobs), root, { what })) {
    switch (node.kind) {
      case 'image':
      case 'artifact': {
        const { descriptor, manifest, bytes } = node;
        const [imageConfig, configBytes] =
          node.kind === 'image' ? [node.config, node.configBytes] : [undefined, blobs.read(manifest.config.digest)];
        documents.push(
          { descriptor: plain(manifest.config), bytes: configBytes },
          { descriptor: plain(descriptor), bytes },
        );
        platforms.push({
          platform: platformOf(descriptor, imageConfig),
          manifest: descriptor,
          config: manifest.config,
          layers: manifest.layers,
          diffIds: imageConfig?.rootfs.diff_ids ?? [],
          ...(imageConfig === undefined ? {} : { imageConfig }),
        });
        break;
      }
      case 'index':
        documents.push({ descriptor: plain(node.descriptor), bytes: node.bytes });
        break;
      case 'absent':
        // Of an index, but not of an image, parts may be missing.
        if (node.parent === undefined || node.manifest !== undefined) throw faultError(node, what);
        break;
      case 'malformed':
        throw node.error;
      case 'foreign':
        break;
      default:
        node satisfies never;
    }
  }
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
