import {
  availablePlatforms,
  type ContentProvider,
  type Descriptor,
  faultError,
  formatPlatform,
  type ImageManifestNode,
  isIndexType,
  MAX_MANIFEST_BYTES,
  normalizePlatform,
  parseIndex,
  type Platform,
  platformVector,
  verifyDocument,
  walk,
} from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';

/** One image, and what else its index has. */
export interface SelectedImage {
  readonly image: ImageManifestNode;
  /** What the root descriptor stands for: the bytes of the manifest or index, as they are. */
  readonly rootBytes: Uint8Array;
  /** Platforms of an index; of a manifest the one of its config. */
  readonly platforms: readonly string[];
}

/**
 * Reads an image for a platform: of an index the one that fits best, or the only one that there is when none was asked for.
 * @param asked whether the platform was asked for by name
 * @throws TsbuildError `TSB_NOT_FOUND` with the platforms that there are, `TSB_IMAGE`, `TSB_DIGEST`, and what the provider throws
 */
export async function selectImage(
  provider: ContentProvider,
  root: Descriptor,
  wanted: { readonly platform: Platform; readonly asked: boolean; readonly what: string },
): Promise<SelectedImage> {
  const { platform, asked, what } = wanted;
  const rootBytes = await readRoot(provider, root, what);
  const index = isIndexType(root.mediaType) ? parseIndex(rootBytes, root.mediaType, what) : undefined;
  const known: ContentProvider = {
    read: (descriptor) => (descriptor.digest === root.digest ? rootBytes : provider.read(descriptor)),
    stream: (descriptor) => provider.stream(descriptor),
  };
  const image =
    (await firstImage(known, root, what, platform)) ?? (asked ? undefined : await firstImage(known, root, what));
  const own = image === undefined ? [] : [formatPlatform(normalizePlatform(image.config))];
  const offered = index === undefined ? own : availablePlatforms(index);
  // An image that is no index was taken whatever its platform.
  const fits =
    !asked || index !== undefined || platformVector(platform).some((one) => own.includes(formatPlatform(one)));
  if (image === undefined || !fits)
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot find ${formatPlatform(platform)} in ${what}`, {
      hint:
        offered.length === 0 ? 'it has no image, but may have other things: see --raw' : `it has ${offered.join(', ')}`,
    });
  return { image, rootBytes, platforms: offered.length > 0 ? offered : own };
}

/** The bytes of what a name stands for. @throws TsbuildError */
export async function readRoot(provider: ContentProvider, root: Descriptor, what: string): Promise<Uint8Array> {
  if (root.size > MAX_MANIFEST_BYTES)
    throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: its manifest is too large`);
  const bytes = await provider.read(root);
  if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: ${root.digest} is missing`);
  verifyDocument(bytes, root, what);
  return bytes;
}

async function firstImage(
  provider: ContentProvider,
  root: Descriptor,
  what: string,
  platform?: Platform,
): Promise<ImageManifestNode | undefined> {
  for await (const node of walk(provider, root, { what, ...(platform === undefined ? {} : { platform }) })) {
    if (node.kind === 'image') return node;
    // An index that was pulled for one platform names others, which need not be here. What a manifest names must be.
    const isPart = node.kind === 'absent' && node.parent !== undefined && isIndexType(node.parent.mediaType);
    if (node.kind === 'malformed' || (node.kind === 'absent' && !isPart)) throw faultError(node, what);
  }
  return undefined;
}
