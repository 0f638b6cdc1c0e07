import pLimit from 'p-limit';
import type { Task } from '../../events/index.ts';
import {
  type ContentProvider,
  type Descriptor,
  faultError,
  formatPlatform,
  isAttestation,
  isIndexType,
  normalizePlatform,
  parseDocument,
  type Platform,
  walk,
} from '../../image/index.ts';
import { decodeInlineCache, type RemoteConfig } from '../../remote-cache/index.ts';
import { isTsbuildError, type TsbuildError } from '../../util/index.ts';

/** Images of an index that are looked into; BuildKit's images have a handful. */
const MAX_IMAGES = 100;
/** Images that are read at a time. */
const CONCURRENCY = 4;

/** The cache of one image of a reference. */
interface ImageCache {
  readonly config: RemoteConfig;
  /** That the image is for. */
  readonly platform: string;
}

/** The caches within the images of a reference, and what is wrong with the others. */
export interface ImageCaches {
  readonly caches: readonly ImageCache[];
  readonly faults: readonly TsbuildError[];
}

/**
 * Reads the caches within an image, or within those of an index: of all platforms, since steps may be the same for several. No layer is
 * looked at.
 * @param root the manifest or index, with its bytes
 * @param what names it in messages
 * @throws what the provider throws; `TSB_CANCELED`
 */
export async function cachesWithinImage(
  task: Task,
  root: { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
  content: Pick<ContentProvider, 'read'>,
  what: string,
): Promise<ImageCaches> {
  const { descriptor, bytes } = root;
  const provider: Pick<ContentProvider, 'read'> = {
    read: (wanted) => (wanted.digest === descriptor.digest ? bytes : content.read(wanted)),
  };
  const limit = pLimit(CONCURRENCY);
  const found = await Promise.all(
    imagesOf(root, what).map((entry) => limit(() => readImage(task, entry, provider, what))),
  );
  return { caches: found.flatMap(({ caches }) => caches), faults: found.flatMap(({ faults }) => faults) };
}

/** What may be an image: the manifest itself, or the entries of an index but for attestations. */
function imagesOf(
  { descriptor, bytes }: { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
  what: string,
): readonly Descriptor[] {
  if (!isIndexType(descriptor.mediaType)) return [descriptor];
  const document = parseDocument(bytes, descriptor.mediaType, what);
  if (document.kind !== 'index') return [descriptor];
  return document.index.manifests.filter((entry) => !isAttestation(entry)).slice(0, MAX_IMAGES);
}

/** The cache of one entry; an index within the index may have several. */
async function readImage(
  task: Task,
  entry: Descriptor,
  provider: Pick<ContentProvider, 'read'>,
  what: string,
): Promise<ImageCaches> {
  const caches: ImageCache[] = [];
  const faults: TsbuildError[] = [];
  for await (const node of walk(provider, entry, { what })) {
    task.signal.throwIfAborted();
    switch (node.kind) {
      case 'image':
        try {
          const config = decodeInlineCache(node, `config ${node.manifest.config.digest} of ${what}`);
          if (config !== undefined)
            caches.push({ config, platform: platformName(node.descriptor.platform ?? node.config) });
        } catch (error) {
          if (!isTsbuildError(error, 'TSB_IMAGE')) throw error;
          faults.push(error);
        }
        break;
      case 'malformed':
        faults.push(node.error);
        break;
      // A store that pulled an image for one platform has no others.
      case 'absent':
        if (node.manifest !== undefined) faults.push(faultError(node, what));
        break;
      case 'artifact':
      case 'index':
      case 'foreign':
        break;
      default:
        node satisfies never;
    }
  }
  return { caches, faults };
}

function platformName({ os, architecture, variant }: Platform): string {
  return formatPlatform(normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) }));
}
