import type { Task } from '../events/index.ts';
import { formatReference, parseReference } from '../image/index.ts';
import type { BlobFetcher } from '../source/index.ts';
import type { Lease, Store } from '../store/index.ts';
import type { Digest } from '../util/index.ts';
import { inParallel } from './in-parallel.ts';
import { blobsOf, Outcomes, type Write } from './target.ts';

/** A local image store to write to. */
export interface StoreTarget {
  readonly store: Store;
  /** Holds what is brought until it has a name. */
  readonly lease: Lease;
  /** Brings blobs, each once, whoever else wants them. */
  readonly fetcher: BlobFetcher;
  /** Normalised. What refers to the image is named by its digest beside the first. */
  readonly names: readonly string[];
  /** What progress is shown under. */
  readonly vertex?: Digest;
}

/** Copies to the local image store. Layers stay as they are, and are unpacked when a step needs their files. */
export function toStore({ store, lease, fetcher, names, vertex }: StoreTarget): Write {
  return async (task, copy) => {
    const { image, referrers } = copy;
    const documents = [...referrers, image].flatMap((plan) => plan.documents);
    const blobs = blobsOf(copy);
    lease.hold({ blobs: [...documents, ...blobs].map(({ descriptor }) => descriptor.digest) });
    const outcomes = new Outcomes();
    await inParallel(task, blobs, async (inner: Task, { descriptor, content }) => {
      const isThere = store.blobs.has(descriptor.digest, descriptor.size);
      // What is read is compared with its digest when it is stored.
      if (!isThere) await fetcher.fetch(inner, () => content, descriptor, vertex);
      outcomes.add(descriptor, isThere ? 'there' : 'sent');
    });
    for (const { bytes } of documents) store.blobs.put(bytes);
    const { host, path } = parseReference(names[0] ?? 'localhost/copied');
    for (const { root } of referrers) store.images.put(formatReference({ host, path, digest: root.digest }), root);
    for (const name of names) store.images.put(name, image.root);
    return outcomes.sent;
  };
}
