import pLimit from 'p-limit';
import type { Descriptor, Repository } from '../../image/index.ts';
import { type Digest, isTsbuildError, SharedWork } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { throwIfCanceled } from '../http/http.ts';
import type { PushBlob, PushManifestOptions, Registry } from '../types.ts';

/** Uploads at a time. */
const UPLOADS = 5;
/** Questions at a time whether a blob is there, or may be taken from elsewhere. They are short, and need not wait for uploads. */
const LOOKUPS = 16;

/** How a blob came to be in a repository: it was there, another repository of the registry had it, or its bytes were sent. */
export type BlobOutcome = 'there' | 'mounted' | 'sent';

/** Told of the bytes that were sent of a blob. */
export type UploadListener = (blob: PushBlob, sent: number) => void;

/**
 * Puts blobs and manifests into one repository: each blob once, a few at a time, after asking whether it is there. Blobs may be handed in
 * long before the image that they are for is complete.
 */
export class RepositoryWriter {
  readonly repository: Repository;
  readonly #registry: Registry;
  readonly #listeners = new Set<UploadListener>();
  readonly #neighbour: ((digest: Digest) => Repository | undefined) | undefined;
  readonly #uploads = pLimit(UPLOADS);
  readonly #lookups = pLimit(LOOKUPS);
  readonly #blobs = new SharedWork<Digest, BlobOutcome>({ keep: true });
  readonly #there = new Set<Digest>();
  /** The registry has refused a mount. */
  #isUnneighbourly = false;
  #refusal: unknown;
  #isBegun = false;

  /**
   * @param neighbour another repository of the registry that has a blob for certain, because that was seen a moment ago
   */
  constructor(registry: Registry, repository: Repository, neighbour?: (digest: Digest) => Repository | undefined) {
    this.#registry = registry;
    this.#neighbour = neighbour;
    this.repository = { host: repository.host, path: repository.path };
  }

  /** Tells one more of the bytes that are sent of a blob, whoever handed it in; one who is told already is told once. */
  watch(listener: UploadListener): this {
    this.#listeners.add(listener);
    return this;
  }

  /** Whether the repository is known to have a blob: this has put it there, or seen it. */
  has(digest: Digest): boolean {
    return this.#there.has(digest);
  }

  /**
   * Whether the repository has a manifest or index already. Only asked before any blob was: where blobs were looked for, what is missing is
   * known without it.
   * @throws TsbuildError as `Registry.hasManifest`
   */
  async hasAtFirst(task: Task, manifest: Descriptor): Promise<boolean> {
    return !this.#isBegun && (await this.#registry.hasManifest(task, this.repository, manifest));
  }

  /**
   * Makes sure that the repository has a blob. Whoever asks for the same blob again gets what became of it.
   * @param mountFrom repositories that may have it; asked for when it is not there
   * @throws TsbuildError as `Registry.pushBlob`; what failed is tried again when the blob is asked for again
   */
  async blob(task: Task, blob: PushBlob, mountFrom: () => readonly Repository[] = () => []): Promise<BlobOutcome> {
    this.#isBegun = true;
    const outcome = await this.#blobs.run(blob.digest, task.signal, async () => {
      // To take it over from where it is for certain is one request, whether it is here or not.
      if (await this.#mount(task, blob)) return 'mounted';
      const isThere = await this.#lookups(() => {
        throwIfCanceled(task);
        return this.#registry.hasBlob(task, this.repository, blob);
      });
      if (isThere) return 'there';
      return this.#uploads(() => {
        throwIfCanceled(task);
        return this.#registry.pushBlob(task, this.repository, blob, {
          mountFrom: mountFrom(),
          onProgress: (sent) => {
            for (const listener of this.#listeners) listener(blob, sent);
          },
        });
      });
    });
    this.#there.add(blob.digest);
    return outcome;
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
  async manifest(
    task: Task,
    { mediaType }: Descriptor,
    bytes: Uint8Array,
    tags: readonly string[],
    options?: PushManifestOptions,
  ): Promise<void> {
    for (const tag of tags.length === 0 ? [undefined] : tags) {
      const reference = tag === undefined ? this.repository : { ...this.repository, tag };
      await this.#registry.pushManifest(task, reference, mediaType, bytes, options);
    }
  }

  /** Takes a blob over from a repository that has it for certain. A registry that did not let us once is not asked again. */
  async #mount(task: Task, blob: PushBlob): Promise<boolean> {
    const from = this.#isUnneighbourly ? undefined : this.#neighbour?.(blob.digest);
    if (from === undefined) return false;
    const isMounted = await this.#lookups(() => {
      throwIfCanceled(task);
      return this.#registry.mountBlob(task, this.repository, blob, from);
    });
    if (!isMounted) this.#isUnneighbourly = true;
    return isMounted;
  }
}
