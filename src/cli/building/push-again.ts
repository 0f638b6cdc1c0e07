import { statusOf, type Task } from '../../events/index.ts';
import { type AssembledImage, type BlobSource, pushing, pushImage, streamBlob } from '../../exporter/index.ts';
import { parseReference } from '../../image/index.ts';
import type { PushedTo } from '../../recall/index.ts';
import { createUserRegistry, RepositoryWriter } from '../../registry/index.ts';
import { BlobOrigins } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import type { CliContext } from '../context.ts';
import { sessionOptions } from '../session-options.ts';

/**
 * Pushes an image of a remembered build to where it was pushed before. What the registries have is asked of them anew.
 * @param blobs its layers
 * @throws TsbuildError as `pushImage`
 */
export async function pushAgain(
  context: CliContext,
  store: Store,
  task: Task,
  { names, insecure, vertex }: PushedTo,
  image: AssembledImage,
  blobs: BlobSource,
): Promise<void> {
  const { now } = context;
  const hosts = names.map((name) => parseReference(name).host);
  await using registry = await createUserRegistry({
    ...sessionOptions(context, task.signal),
    insecureHosts: new Set(insecure ? hosts : []),
  });
  const status = statusOf(task, vertex, now);
  await pushImage({ ...task, vertex }, names, image, {
    stream: (layer) => streamBlob(blobs, layer),
    writer: (repository) =>
      new RepositoryWriter(registry, repository).watch(({ digest, size }, sent) => status(pushing(digest), sent, size)),
    origins: new BlobOrigins(store.facts),
    status,
  });
}
