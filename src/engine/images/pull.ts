import {
  type Descriptor,
  familiarReference,
  formatReference,
  parseManifest,
  isManifestType,
  type Reference,
  withDefaultTag,
} from '../../image/index.ts';
import { describeSent } from '../../registry/index.ts';
import { BlobFetcher } from '../../source/index.ts';
import { blobContent } from '../../store/index.ts';
import { type ImagePlan, planImage, type Selection, toStore } from '../../transfer/index.ts';
import type { Task } from '../../events/index.ts';
import { type Digest, isTsbuildError, TsbuildError } from '../../util/index.ts';
import { openCopySource } from './copy-source.ts';
import { withImageHint } from './image-hint.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import type { Session } from '../session.ts';

/** When a registry is asked: always, when it can be reached, when the store lacks the image, or never. */
export type PullPolicy = 'always' | 'newer' | 'missing' | 'never';

/** An image that is in the local image store now. */
export interface PulledImage {
  /** What it is called. */
  readonly reference: Reference;
  /** Of its index or manifest. */
  readonly digest: Digest;
  /** Of its config, or of the index where several platforms were asked for. */
  readonly id: Digest;
  /** Whether something was brought that was not there. */
  readonly isNew: boolean;
}

/**
 * Brings an image into the local image store under its name. Layers are fetched side by side and verified, and not unpacked before a step
 * needs their files.
 * @throws TsbuildError `TSB_NOT_FOUND` for an unknown image or platform, `TSB_REGISTRY`, `TSB_NETWORK`, `TSB_DIGEST`, `TSB_IMAGE`
 */
export async function pullImage(
  session: Session,
  task: Task,
  reference: Reference,
  options: { readonly selection: Selection; readonly policy: PullPolicy },
): Promise<PulledImage> {
  const wanted = withDefaultTag(reference);
  const { selection, policy } = options;
  const name = formatReference(nameOf(wanted));
  const known = await present(session, name, wanted, selection);
  if (known !== undefined && policy !== 'always' && policy !== 'newer') return known;
  if (policy === 'never')
    throw new TsbuildError(
      'TSB_NOT_FOUND',
      `Cannot use ${JSON.stringify(familiarReference(wanted))}: it is not in the local image store, and --policy=never asks no registry`,
      { hint: 'list images with "tsbuild images", or leave --policy=never out' },
    );
  try {
    return await fetch(session, task, wanted, selection);
  } catch (error) {
    if (policy === 'newer' && known !== undefined && isTsbuildError(error, 'TSB_NETWORK')) {
      session.options.onWarning(`${error.message}; keeping ${known.digest}`);
      return known;
    }
    throw withImageHint(error, session.store, name);
  }
}

async function fetch(session: Session, task: Task, wanted: Reference, selection: Selection): Promise<PulledImage> {
  const { store, lease, now } = session;
  const name = formatReference(nameOf(wanted));
  const title = `pulling ${familiarReference(wanted)}`;
  return withInternalVertex(task, now, title, async (vertex, status, inner) => {
    using source = await openCopySource(session, inner, { kind: 'registry', reference: wanted }, session.registry);
    const before = store.images.get(name)?.descriptor.digest;
    // What the store has of the documents is not asked for again.
    const read = (descriptor: Descriptor): ReturnType<typeof source.content.read> => {
      lease.hold({ blobs: [descriptor.digest] });
      return store.blobs.peek(descriptor.digest, descriptor.size) ?? source.content.read(descriptor);
    };
    const image = await planImage({ ...source, content: { ...source.content, read } }, selection);
    const fetcher = new BlobFetcher({ store, lease, now, concurrency: 6 });
    const write = toStore({ store, lease, fetcher, names: [name], vertex });
    const sent = await write(inner, { image, referrers: [], what: source.what, status });
    status(`pulled ${source.root.digest}, ${describeSent(sent, 'fetched')}`, 0, undefined, true);
    const { host, path } = wanted;
    session.origins.note(
      image.blobs.map(({ digest }) => digest),
      { host, path },
    );
    const isNew = before !== source.root.digest || sent.sent.length > 0;
    return { reference: wanted, digest: source.root.digest, id: idOf(image), isNew };
  });
}

/** What it is called in the store: a digest is its name where it was asked for by that. */
function nameOf({ host, path, tag, digest }: Reference): Reference {
  return digest === undefined ? { host, path, ...(tag === undefined ? {} : { tag }) } : { host, path, digest };
}

/** The image, if all that is asked for is in the store. */
async function present(
  { store }: Session,
  name: string,
  reference: Reference,
  selection: Selection,
): Promise<PulledImage | undefined> {
  const root = store.images.get(name)?.descriptor;
  if (root === undefined) return undefined;
  try {
    const image = await planImage({ root, content: blobContent(store.blobs), what: `image ${name}` }, selection);
    if (!image.blobs.every(({ digest, size }) => store.blobs.has(digest, size))) return undefined;
    return { reference, digest: root.digest, id: idOf(image), isNew: false };
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}

/** What docker calls the id of an image. */
function idOf({ root, documents }: ImagePlan): Digest {
  const manifests = documents.filter(({ descriptor }) => isManifestType(descriptor.mediaType));
  const [only] = manifests;
  if (only === undefined || manifests.length > 1) return root.digest;
  return parseManifest(only.bytes, only.descriptor.mediaType, `manifest ${only.descriptor.digest}`).config.digest;
}
