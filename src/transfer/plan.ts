import {
  availablePlatforms,
  type ContentProvider,
  type Descriptor,
  faultError,
  formatPlatform,
  type ImageManifestNode,
  type ImageNode,
  isNonDistributable,
  type Platform,
  runsOn,
  verifyDocument,
  walk,
} from '../image/index.ts';
import { type Digest, sanitizeLine, TsbuildError } from '../util/index.ts';

/**
 * What of an image is copied: `all` of it; `one` image of an index, by itself; one `part` of an index, which keeps the name and the digest
 * of the index, as a pull does it; or the `index` and nothing that it names.
 */
export type Selection =
  | { readonly what: 'all' | 'index' }
  | {
      readonly what: 'one' | 'part';
      readonly platform: Platform;
      /** An image that is in no index must be for the platform, too. */
      readonly strict?: boolean;
    };

/** A document to copy: a manifest or an index. */
export interface PlannedDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** All that is to be copied of one image. */
export interface ImagePlan {
  /** Of what gets the name. */
  readonly root: Descriptor;
  /** Children before parents. */
  readonly documents: readonly PlannedDocument[];
  /** Configs, layers and what else manifests name, each once. */
  readonly blobs: readonly Descriptor[];
  /** Its documents and configs, from memory, and whatever else from where it is. Bytes of blobs are not verified. */
  readonly content: ContentProvider;
}

/** Where an image is read from. */
export interface PlanSource {
  readonly root: Descriptor;
  readonly content: ContentProvider;
  /** How messages name it. */
  readonly what: string;
}

/**
 * Reads the documents of an image and finds out what belongs to it. No layer is read.
 * @throws TsbuildError `TSB_NOT_FOUND` when a part or the platform is missing, `TSB_IMAGE`, `TSB_DIGEST`, and as the content's reader
 */
export async function planImage(source: PlanSource, selection: Selection): Promise<ImagePlan> {
  const cache = new DocumentCache(source.content);
  const chosen = { ...source, content: cache };
  switch (selection.what) {
    case 'index':
      return planIndex(chosen, cache);
    case 'all':
      return collect(source, await all(chosen, source.what), cache);
    case 'one': {
      const image = await choose(chosen, selection);
      return collect({ ...source, root: plain(image.descriptor) }, [image], cache);
    }
    case 'part': {
      const image = await choose(chosen, selection);
      return collect(source, [image, ...(await indexesAbove(chosen, cache, image))], cache);
    }
    default:
      return selection satisfies never;
  }
}

/** Remembers documents, which are read more than once: to find out what there is, and to write it. */
class DocumentCache implements ContentProvider {
  readonly #from: ContentProvider;
  readonly #known = new Map<Digest, Uint8Array>();

  constructor(from: ContentProvider) {
    this.#from = from;
  }

  async read(descriptor: Descriptor): Promise<Uint8Array | undefined> {
    const known = this.known(descriptor);
    if (known !== undefined) return known;
    const bytes = await this.#from.read(descriptor);
    if (bytes !== undefined) this.#known.set(descriptor.digest, bytes);
    return bytes;
  }

  known({ digest }: Descriptor): Uint8Array | undefined {
    return this.#known.get(digest);
  }

  stream(descriptor: Descriptor): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
    const known = this.known(descriptor);
    return known === undefined ? this.#from.stream(descriptor) : [known];
  }
}

async function all({ content, root }: PlanSource, what: string): Promise<readonly ImageNode[]> {
  const nodes: ImageNode[] = [];
  let absent = 0;
  for await (const node of walk(content, root, { what })) {
    if (node.kind === 'malformed') throw node.error;
    if (node.kind === 'absent') {
      if (node.parent === undefined || node.manifest !== undefined) throw faultError(node, what);
      absent++;
    }
    nodes.push(node);
  }
  if (absent === 0) return nodes;
  const images = nodes.filter(({ kind }) => kind === 'image').length;
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot copy ${what}: ${absent} of the images of its index are not there${images === 0 ? '' : `, ${images} are`}`,
    { hint: 'copy one of those that are: --platform OS/ARCH' },
  );
}

/** The image for a platform, the best that there is. */
async function choose(
  { content, root, what }: PlanSource,
  { platform, strict }: { readonly platform: Platform; readonly strict?: boolean },
): Promise<ImageManifestNode> {
  const offered = new Set<string>();
  for await (const node of walk(content, root, { what, platform })) {
    if (node.kind === 'image') {
      if (!strict || node.descriptor.digest !== root.digest || runsOn(node.config, platform)) return node;
      const { os, architecture, variant } = node.config;
      offered.add([os, architecture, variant].filter(Boolean).join('/'));
    }
    if (node.kind === 'absent' || node.kind === 'malformed') throw faultError(node, what);
    if (node.kind === 'index') for (const text of availablePlatforms(node.index)) offered.add(text);
    // What is no image has no platform; alone it is what was asked for.
    if (node.kind === 'artifact' && node.descriptor.digest === root.digest)
      throw new TsbuildError(
        'TSB_IMAGE',
        `Cannot use ${what}: it is no image but an artifact with a config of type ${node.manifest.config.mediaType}`,
        {
          hint: 'copy all of it: tsbuild copy --all',
        },
      );
  }
  const names = [...offered].slice(0, 20).map((text) => sanitizeLine(text, 60));
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot use ${what} for ${formatPlatform(platform)}: no match for platform in manifest: not found`,
    names.length === 0 ? {} : { hint: `it is available for ${names.join(', ')}` },
  );
}

/** The indexes on the way to an image: those whose documents were read, and under which it is. */
async function indexesAbove(
  { root, what }: PlanSource,
  cache: DocumentCache,
  image: ImageManifestNode,
): Promise<readonly ImageNode[]> {
  const found: ImageNode[] = [];
  const above = new Set<Digest>([image.descriptor.digest]);
  for await (const node of walk({ read: (descriptor) => cache.known(descriptor) }, root, { what })) {
    if (node.kind !== 'index' || !node.index.manifests.some(({ digest }) => above.has(digest))) continue;
    above.add(node.descriptor.digest);
    found.push(node);
  }
  return found;
}

async function planIndex({ content, root, what }: PlanSource, cache: DocumentCache): Promise<ImagePlan> {
  const bytes = await content.read(root);
  if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: ${root.digest} is missing`);
  verifyDocument(bytes, root, what);
  return { root: plain(root), documents: [{ descriptor: plain(root), bytes }], blobs: [], content: cache };
}

function collect({ root }: PlanSource, nodes: readonly ImageNode[], content: ContentProvider): ImagePlan {
  const documents: PlannedDocument[] = [];
  const blobs = new Map<Digest, Descriptor>();
  for (const node of nodes) {
    if (node.kind === 'foreign') blobs.set(node.descriptor.digest, node.descriptor);
    if (node.kind === 'image' || node.kind === 'artifact')
      for (const blob of [...node.manifest.layers, node.manifest.config])
        if (!isNonDistributable(blob)) blobs.set(blob.digest, plain(blob));
    if (node.kind === 'image' || node.kind === 'artifact' || node.kind === 'index')
      documents.push({ descriptor: plain(node.descriptor), bytes: node.bytes });
  }
  return { root: plain(root), documents, blobs: [...blobs.values()], content };
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
