import pLimit from 'p-limit';
import type { Descriptor, Repository } from '../image/index.ts';
import { type Digest, isTsbuildError, SharedWork } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { throwIfCanceled } from './http.ts';
import type { PushBlob, Registry } from './types.ts';

/** Uploads at a time. */
const UPLOADS = 5;
/** Questions at a time whether a blob is there. They are short, and need not wait for uploads. */
const LOOKUPS = 16;

/** How a blob came to be in a repository: it was there, another repository of the registry had it, or its bytes were sent. */
export type BlobOutcome = 'there' | 'mounted' | 'sent';

/**
 * Puts blobs and manifests into one repository: each blob once, a few at a time, after asking whether it is there. Blobs may be handed in
 * long before the image that they are for is complete.
 */
export class RepositoryWriter {
  readonly repository: Repository;
  readonly #registry: Registry;
  readonly #onProgress: ((blob: PushBlob, sent: number) => void) | undefined;
  readonly #uploads = pLimit(UPLOADS);
  readonly #lookups = pLimit(LOOKUPS);
  readonly #blobs = new SharedWork<Digest, BlobOutcome>({ keep: true });
  #refusal: unknown;

  /** @param onProgress told of the bytes that were sent of a blob, whoever handed it in */
  constructor(registry: Registry, repository: Repository, onProgress?: (blob: PushBlob, sent: number) => void) {
    this.#registry = registry;
    this.#onProgress = onProgress;
    this.repository = { host: repository.host, path: repository.path };
  }

  /**
   * Makes sure that the repository has a blob. Whoever asks for the same blob again gets what became of it.
   * @param mountFrom repositories that may have it; asked for when it is not there
   * @throws TsbuildError as `Registry.pushBlob`; what failed is tried again when the blob is asked for again
   */
  blob(task: Task, blob: PushBlob, mountFrom: () => readonly Repository[] = () => []): Promise<BlobOutcome> {
    return this.#blobs.run(blob.digest, task.signal, async () => {
      const isThere = await this.#lookups(() => {
        throwIfCanceled(task);
        return this.#registry.hasBlob(task, this.repository, blob);
      });
      if (isThere) return 'there';
      return this.#uploads(() => {
        throwIfCanceled(task);
        return this.#registry.pushBlob(task, this.repository, blob, {
          mountFrom: mountFrom(),
          onProgress: (sent) => this.#onProgress?.(blob, sent),
        });
      });
    });
  }

  /**
   * Puts a blob in before anybody needs it there. Why that fails is said when it is needed; who is refused once stops trying.
   * @returns whether it is there; never rejects
   */
  async blobAhead(task: Task, blob: PushBlob, mountFrom?: () => readonly Repository[]): Promise<boolean> {
    if (this.#refusal !== undefined) return false;
    try {
      await this.blob(task, blob, mountFrom);
      return true;
    } catch (error) {
      if (isTsbuildError(error, 'TSB_REGISTRY')) this.#refusal = error;
      return false;
    }
  }

  /**
   * Puts a manifest or index in, under tags or else under its digest. What it names must be there.
   * @throws TsbuildError as `Registry.pushManifest`
   */
  async manifest(task: Task, { mediaType }: Descriptor, bytes: Uint8Array, tags: readonly string[]): Promise<void> {
    if (tags.length === 0) await this.#registry.pushManifest(task, this.repository, mediaType, bytes);
    for (const tag of tags) await this.#registry.pushManifest(task, { ...this.repository, tag }, mediaType, bytes);
  }
}
