import {
  idDigits,
  namesOfId,
  pushImage,
  pushing,
  readStoredImage,
  replaceLayers,
  selectPlatform,
  storedName,
  type StoredImageContent,
  streamBlob,
  unnamedImage,
} from '../../exporter/index.ts';
import {
  type Descriptor,
  documentMediaType,
  familiarReference,
  formatReference,
  isIndexType,
  MAX_MANIFEST_BYTES,
  parseReference,
  type Platform,
  type Reference,
  withDefaultTag,
} from '../../image/index.ts';
import { RepositoryWriter } from '../../registry/index.ts';
import type { PackForm } from '../../snapshots/index.ts';
import { holdImage } from '../../store/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import type { Session } from '../session.ts';

/** What `tsbuild push` was asked for. */
export interface PushRequest {
  /** A name or id of the local image store. */
  readonly name: string;
  /** Where it goes, if not where its name says. */
  readonly dest?: Reference;
  /** All tags of the repository that the name is of. */
  readonly allTags?: boolean;
  /** Only this platform of an image with several. */
  readonly platform?: Platform;
  /** All layers in this form, instead of as they are. */
  readonly form?: PackForm;
}

/** An image that was pushed. */
export interface PushedImage {
  readonly reference: Reference;
  readonly digest: Digest;
}

/**
 * Pushes images of the local image store.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE`, and as `pushImage`
 */
export async function pushStored(session: Session, task: Task, request: PushRequest): Promise<readonly PushedImage[]> {
  const pushed: PushedImage[] = [];
  for (const { root, name, target } of imagesOf(session, request)) {
    const familiar = familiarReference(target);
    const image = await withInternalVertex(task, session.now, `pushing ${familiar}`, async (_vertex, status, inner) => {
      const { store, origins } = session;
      holdImage(store, session.lease, root);
      const stored = wanted(readStored(session, name, root), request, name);
      const image = request.form === undefined ? stored : await recompress(session, inner, name, stored, request.form);
      if (target.digest !== undefined && target.digest !== image.root.digest) throw digestChosen(target);
      await pushImage(inner, [formatReference(target)], image, {
        stream: (layer) => streamBlob(store.blobs, layer),
        writer: (repository) =>
          new RepositoryWriter(session.registry, repository).watch(({ digest, size }, sent) =>
            status(pushing(digest), sent, size),
          ),
        origins,
        status,
      });
      return image;
    });
    pushed.push({ reference: target, digest: image.root.digest });
  }
  return pushed;
}

interface Found {
  readonly root: Descriptor;
  /** For messages, and to find its layers again. */
  readonly name: string;
  readonly target: Reference;
}

/** What is pushed, and where to. */
function imagesOf(session: Session, request: PushRequest): readonly Found[] {
  const { store } = session;
  const { name, dest } = request;
  if (request.allTags) {
    const wantedName = parseReference(name);
    if ([wantedName, dest].some((one) => one?.tag !== undefined || one?.digest !== undefined))
      throw new TsbuildError(
        'TSB_USAGE',
        "Cannot push all tags of a name that has one: tag can't be used with --all-tags/-a",
      );
    const found = store.images.list().flatMap(({ name: stored, descriptor }): Found[] => {
      const reference = parseReference(stored);
      const isOurs = reference.host === wantedName.host && reference.path === wantedName.path;
      const { tag } = reference;
      return isOurs && tag !== undefined
        ? [{ root: descriptor, name: stored, target: { ...(dest ?? wantedName), tag } }]
        : [];
    });
    if (found.length === 0) throw notFound(name);
    return found;
  }
  const stored = storedName(store, name) ?? namesOfId(store, name)[0];
  if (stored === undefined) {
    const digest = unnamedImage(store, name);
    if (digest === undefined) throw notFound(name);
    return [{ root: describe(session, digest), name: `localhost/unnamed@${digest}`, target: destOf(request) }];
  }
  const image = store.images.get(stored);
  if (image === undefined) throw notFound(name);
  return [{ root: image.descriptor, name: stored, target: destOf(request) }];
}

/** @throws TsbuildError `TSB_USAGE` for an id without a destination */
function destOf({ name, dest }: PushRequest): Reference {
  if (dest !== undefined) return withDefaultTag(dest);
  if (idDigits(name) !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot push ${JSON.stringify(name)}: an id does not say where to`, {
      hint: `name the place: tsbuild push ${name} REGISTRY/NAME:TAG`,
    });
  return withDefaultTag(parseReference(name));
}

function digestChosen(target: Reference): TsbuildError {
  return new TsbuildError(
    'TSB_USAGE',
    `Cannot push to ${JSON.stringify(familiarReference(target))}: a digest cannot be chosen, it follows from what is pushed`,
    { hint: 'write a tag, or nothing' },
  );
}

function describe({ store }: Session, digest: Digest): Descriptor {
  const bytes = store.blobs.read(digest, MAX_MANIFEST_BYTES);
  return { mediaType: documentMediaType(bytes, undefined, `image ${digest}`), digest, size: bytes.length };
}

function notFound(name: string): TsbuildError {
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot push ${JSON.stringify(name)}: no such image in the local image store`,
    { hint: 'list images with "tsbuild images"; what is built can be pushed at once: tsbuild build --push -t NAME .' },
  );
}

function readStored({ store }: Session, name: string, root: Descriptor): StoredImageContent {
  return readStoredImage(store.blobs, name, root);
}

/** The image, or the platform of it that was asked for. An index goes as a whole or not at all: what it names must be there. */
function wanted(image: StoredImageContent, { platform }: PushRequest, name: string): StoredImageContent {
  if (platform !== undefined) return selectPlatform(image, platform, name);
  const present = new Set(image.documents.map(({ descriptor }) => descriptor.digest));
  for (const { descriptor, bytes } of image.documents) {
    if (!isIndexType(descriptor.mediaType)) continue;
    const { manifests = [] } = JSON.parse(Buffer.from(bytes).toString()) as { manifests?: { digest: Digest }[] };
    const missing = manifests.filter(({ digest }) => !present.has(digest)).length;
    if (missing > 0)
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot push ${JSON.stringify(name)}: ${missing} of the ${manifests.length} images of its index are not in the store`,
        { hint: 'push one of those that are: --platform OS/ARCH' },
      );
  }
  return image;
}

/** The image with its layers in another form, made where the store does not have it. */
async function recompress(
  session: Session,
  task: Task,
  name: string,
  image: StoredImageContent,
  form: PackForm,
): Promise<StoredImageContent> {
  const replaced = new Map<Digest, Descriptor>();
  for (const { platform, layers, imageConfig } of image.platforms) {
    // What is no image, such as an attestation, has no layers that could be unpacked.
    if (imageConfig === undefined) continue;
    const ids = session.layers.adopt(await session.images.resolve(task, name, platform));
    const packed = await Promise.all(ids.map((id) => session.layers.pack(task, id, { ...form, force: true })));
    for (const [index, { digest }] of layers.entries()) {
      const descriptor = packed[index]?.descriptor;
      if (descriptor !== undefined && descriptor.digest !== digest) replaced.set(digest, descriptor);
    }
  }
  return replaceLayers(image, replaced);
}
