import type { Task } from '../events/index.ts';
import type { ContentProvider, Repository } from '../image/index.ts';
import { type RepositoryWriter, sendImage } from '../registry/index.ts';
import type { Digest } from '../util/index.ts';
import { bytesOf, type Copy, Outcomes, type Write } from './target.ts';

/** A repository to write to. */
export interface RegistryTarget {
  readonly writer: RepositoryWriter;
  /** Without any the image is found by its digest. */
  readonly tags: readonly string[];
  /** Repositories that may have a blob. */
  readonly mountFrom: (digest: Digest) => readonly Repository[];
}

/**
 * Copies to a registry. What refers to the image goes before its tag, so that nobody finds it there without its signatures. What is there,
 * or in another repository of the registry, is not sent.
 */
export function toRegistry({ writer, tags, mountFrom }: RegistryTarget): Write {
  return async (task, copy) => {
    const { image, referrers, what, status } = copy;
    const outcomes = new Outcomes();
    const send = async (plan: Copy['image'], own: readonly string[]): Promise<void> => {
      const sent = await sendImage(task, writer, {
        content: passing(plan.content, copy, task),
        root: plan.root,
        tags: own,
        what,
        mountFrom: ({ digest }) => mountFrom(digest),
        onBlob: (blob, outcome) => {
          if (outcome === 'mounted') status(`mounted ${blob.digest}`, 0, undefined, true);
        },
      });
      outcomes.addAll(sent);
    };
    const rootBytes = image.documents.find(({ descriptor }) => descriptor.digest === image.root.digest)?.bytes;
    // An index alone: the registry says whether it takes one whose images it does not have.
    const isAlone = image.blobs.length === 0 && image.documents.length === 1;
    const isTagged = !isAlone && referrers.length === 0;
    if (!isAlone) await send(image, isTagged ? tags : []);
    for (const referrer of referrers) await send(referrer, []);
    if (!isTagged && rootBytes !== undefined) await writer.manifest(task, image.root, rootBytes, tags);
    status(`manifest ${image.root.digest}`, image.root.size, image.root.size, true);
    return outcomes.sent;
  };
}

/** Content whose blobs are compared with their digests while they pass. */
function passing(content: ContentProvider, copy: Copy, task: Task): ContentProvider {
  return {
    read: (descriptor) => content.read(descriptor),
    stream: (descriptor) => bytesOf({ descriptor, content }, copy, task),
  };
}
