import type { StdoutStream } from '../../exporter/index.ts';
import { isIndexType } from '../../image/index.ts';
import {
  createUserRegistry,
  describeSent,
  type Registry,
  type SentImage,
  type UserRegistryOptions,
} from '../../registry/index.ts';
import {
  convertImage,
  type ImagePlan,
  type ManifestFormat,
  type Place,
  planImage,
  planReferrers,
  type Selection,
} from '../../transfer/index.ts';
import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { openCopySource } from './copy-source.ts';
import { openCopyTarget } from './copy-target.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import type { Session } from '../session.ts';

/** What `tsbuild copy` was asked for. */
export interface CopyRequest {
  readonly source: Place;
  readonly dest: Place;
  readonly selection: Selection;
  /** What refers to the image is copied as well. */
  readonly referrers: boolean;
  /** The form of manifests, which changes digests; without it they stay as they are. */
  readonly format?: ManifestFormat;
  /** A copy that would change a digest fails. */
  readonly preserveDigests?: boolean;
  /** More tags or names at the destination. */
  readonly tags?: readonly string[];
  /** What is other than in the session about the registry that is read from, and the one that is written to. */
  readonly sourceRegistry?: Partial<UserRegistryOptions>;
  readonly destRegistry?: Partial<UserRegistryOptions>;
  readonly stdout: StdoutStream;
}

/** What was copied. */
export interface CopiedImage {
  /** Where it is now. */
  readonly shown: string;
  readonly image: ImagePlan;
  readonly sent: SentImage;
  /** How many refer to it. */
  readonly referrers: number;
}

/**
 * Copies an image from one place to another without unpacking it. Digests stay, unless another form of manifests is asked for, or the
 * source has no manifests (docker archives).
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_IMAGE`, `TSB_DIGEST`, `TSB_USAGE`, `TSB_EXPORT`, `TSB_REGISTRY`, `TSB_NETWORK`
 */
export async function copyImage(session: Session, task: Task, request: CopyRequest): Promise<CopiedImage> {
  await using reading = await registryOf(session, request.sourceRegistry);
  await using writing = await registryOf(session, request.destRegistry);
  const title = `copying ${shownOf(request.source)}`;
  return await withInternalVertex(task, session.now, title, async (vertex, status, inner) => {
    using source = await openCopySource(session, inner, request.source, reading.registry);
    const image = await planFor(source, request);
    const target = openCopyTarget(session, request.dest, image.root.digest, {
      registry: writing.registry,
      stdout: request.stdout,
      tags: request.tags ?? [],
      from: source.repository,
      vertex,
    });
    // What refers to an image names its digest; an index alone is a list of images that are elsewhere.
    const referrers =
      request.referrers && request.format === undefined && request.selection.what !== 'index'
        ? await planReferrers(source, image)
        : [];
    const sent = await target.write(inner, { image, referrers, what: source.what, status });
    const more = referrers.length === 0 ? '' : `, with ${referrers.length} that refer to it`;
    status(`copied to ${target.shown}${more}, ${describeSent(sent, 'copied')}`, 0, undefined, true);
    const layers = Object.values(sent).flatMap((blobs) => blobs.map(({ digest }) => digest));
    for (const repository of [source.repository, target.repository])
      if (repository !== undefined) session.origins.note(layers, repository);
    return { shown: target.shown, image, sent, referrers: referrers.length };
  });
}

async function planFor(
  source: Parameters<typeof planImage>[0],
  { selection, format, preserveDigests }: CopyRequest,
): Promise<ImagePlan> {
  if (selection.what === 'index' && !isIndexType(source.root.mediaType))
    throw new TsbuildError('TSB_USAGE', `Cannot copy only the index of ${source.what}: it is one image and has none`, {
      hint: 'leave out --multi-arch=index-only',
    });
  const image = await planImage(source, selection);
  if (format === undefined) return image;
  const converted = convertImage(image, format, source.what);
  if (preserveDigests && converted.root.digest !== image.root.digest)
    throw new TsbuildError('TSB_USAGE', `Cannot copy ${source.what} in the form ${format}: its digest would change`, {
      hint: 'leave out --format or --preserve-digests',
    });
  return converted;
}

/** The client for one side, and the end of it where it is not the session's. */
async function registryOf(
  session: Session,
  own: Partial<UserRegistryOptions> | undefined,
): Promise<AsyncDisposable & { readonly registry: Registry }> {
  if (own === undefined) return { registry: session.registry, [Symbol.asyncDispose]: async () => undefined };
  const registry = await createUserRegistry({ ...session.options, ...own });
  return { registry, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
}

function shownOf(place: Place): string {
  switch (place.kind) {
    case 'registry':
      return `docker://${place.reference.host}/${place.reference.path}`;
    case 'store':
      return place.name;
    case 'layout':
      return `oci:${place.path}`;
    case 'archive':
      return `${place.form}-archive:${place.path}`;
    default:
      return place satisfies never;
  }
}
