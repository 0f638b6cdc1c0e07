import {
  type ContentProvider,
  type Descriptor,
  familiarReference,
  parseReference,
  type Repository,
} from '../image/index.ts';
import { describeSent, type RepositoryWriter, sendImage, type SentImage } from '../registry/index.ts';
import type { ReportStatus, Task } from '../events/index.ts';
import type { Digest } from '../util/index.ts';
import type { AssembledImage } from './types.ts';

/** Which repositories have which blobs. */
export interface KnownRepositories {
  of(digest: Digest): readonly Repository[];
  note(digests: Iterable<Digest>, repository: Repository): void;
}

/** What pushing an image needs. */
export interface PushContext {
  /** The bytes of a layer. */
  readonly stream: (layer: Descriptor) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** What writes to a repository; the same one where blobs were handed to it before. */
  readonly writer: (repository: Repository) => RepositoryWriter;
  readonly origins: KnownRepositories;
  readonly status: ReportStatus;
}

/**
 * Pushes an image to the repositories that its names are of.
 * @param names normalised; of those without a tag the image is found by its digest
 * @returns what became of the blobs, by repository
 * @throws TsbuildError as `sendImage`
 */
export async function pushImage(
  task: Task,
  names: readonly string[],
  image: AssembledImage,
  { stream, writer, origins, status }: PushContext,
): Promise<readonly SentImage[]> {
  const all: SentImage[] = [];
  for (const { repository, tags } of byRepository(names)) {
    const name = familiarReference(repository);
    const sent = await sendImage(task, writer(repository), {
      content: assembledContent(image, stream),
      root: image.root,
      tags,
      what: `image "${name}"`,
      mountFrom: ({ digest }) => origins.of(digest),
      onBlob: ({ digest, size }, outcome) => {
        if (outcome === 'sent') status(pushing(digest), size, size, true);
        else if (outcome === 'mounted') status(`mounted ${digest}`, 0, undefined, true);
      },
      onManifest: ({ digest, size }, tag) => {
        const reference = tag === undefined ? name : familiarReference({ ...repository, tag });
        status(`pushing manifest for ${reference}@${digest}`, size, undefined, true);
      },
    });
    status(`pushed to ${name}, ${describeSent(sent)}`, 0, undefined, true);
    origins.note(
      Object.values(sent).flatMap((blobs) => blobs.map(({ digest }) => digest)),
      repository,
    );
    all.push(sent);
  }
  return all;
}

/** What a blob on its way is shown as. */
export function pushing(digest: Digest): string {
  return `pushing ${digest}`;
}

/** The tags of each repository, in the order of the names. */
function byRepository(
  names: readonly string[],
): readonly { readonly repository: Repository; readonly tags: readonly string[] }[] {
  const found = new Map<string, { repository: Repository; tags: string[] }>();
  for (const { host, path, tag } of names.map(parseReference)) {
    const key = `${host}/${path}`;
    const known = found.get(key) ?? { repository: { host, path }, tags: [] };
    found.set(key, known);
    if (tag !== undefined) known.tags.push(tag);
  }
  return [...found.values()];
}

/** The documents of an assembled image, which are in memory, and its layers. */
function assembledContent({ documents }: AssembledImage, stream: PushContext['stream']): ContentProvider {
  const bytes = new Map(documents.map((document) => [document.descriptor.digest, document.bytes]));
  return {
    read: ({ digest }) => bytes.get(digest),
    stream: (descriptor) => {
      const document = bytes.get(descriptor.digest);
      return document === undefined ? stream(descriptor) : [document];
    },
  };
}
