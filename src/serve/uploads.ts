import type { BlobWriter, Lease, Store } from '../store/index.ts';
import { type Digest, isTsbuildError, randomHex } from '../util/index.ts';
import { Fault } from './fault.ts';

/** What nobody has gone on with for so long is given up. */
const IDLE_MS = 3_600_000;
/** Uploads that are open at a time. */
const MAX_UPLOADS = 256;

interface Upload {
  readonly repository: string;
  readonly writer: BlobWriter;
  /** A request writes to it. */
  busy: boolean;
  touchedAt: number;
}

/** Blobs of a repository that no manifest names yet. */
interface Pending {
  readonly lease: Lease;
  readonly digests: Set<Digest>;
  touchedAt: number;
}

/**
 * Blobs on their way into repositories: those that are being sent, and those that are there and wait for the manifest that names them.
 * The store's garbage collection leaves them alone meanwhile.
 */
export class Uploads implements Disposable {
  readonly #store: Store;
  readonly #uploads = new Map<string, Upload>();
  readonly #pending = new Map<string, Pending>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Begins an upload and gives its id. @throws Fault when there are too many */
  begin(repository: string): string {
    this.#sweep();
    if (this.#uploads.size >= MAX_UPLOADS)
      throw new Fault(429, 'TOOMANYREQUESTS', 'too many uploads are open', { 'retry-after': '5' });
    const id = randomHex(16);
    const writer = this.#store.blobs.ingest();
    this.#uploads.set(id, { repository, writer, busy: false, touchedAt: this.#store.now() });
    return id;
  }

  /** Bytes that came so far. @throws Fault */
  size(repository: string, id: string): number {
    return this.#find(repository, id).writer.size;
  }

  /**
   * Adds bytes. A connection that breaks leaves what came, and the client asks how much that is.
   * @param start where they belong, as the client sees it; undefined for one that does not say
   * @throws Fault when that is not where the upload stands, or when somebody else is writing
   */
  async append(
    repository: string,
    id: string,
    chunks: AsyncIterable<Uint8Array>,
    start: number | undefined,
  ): Promise<number> {
    const upload = this.#findIdle(repository, id);
    const { writer } = upload;
    if (start !== undefined && start !== writer.size)
      throw new Fault(416, 'RANGE_INVALID', `the upload stands at ${writer.size}`, { range: rangeOf(writer.size) });
    upload.busy = true;
    try {
      for await (const chunk of chunks) {
        upload.touchedAt = this.#store.now();
        writer.write(chunk);
      }
      return writer.size;
    } catch (error) {
      // The writer is gone with the disk's space.
      if (isTsbuildError(error)) this.forget(id);
      throw error;
    } finally {
      upload.busy = false;
    }
  }

  /**
   * Ends an upload.
   * @throws Fault when its bytes have another digest; the upload is over then
   */
  finish(repository: string, id: string, digest: Digest): void {
    const { writer } = this.#findIdle(repository, id);
    this.#uploads.delete(id);
    // Kept from being deleted before it is there, but shown only to those who had its bytes: a digest may be that of a layer of some build.
    const pending = this.#keep(repository, digest);
    try {
      writer.commit({ digest });
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_DIGEST')) throw error;
      throw new Fault(400, 'DIGEST_INVALID', 'what was sent has another digest');
    }
    pending.digests.add(digest);
  }

  /** @throws Fault when somebody is writing to it */
  cancel(repository: string, id: string): void {
    this.#findIdle(repository, id);
    this.forget(id);
  }

  /** Gives up an upload that nobody can go on with; one that is over already is no fault. */
  forget(id: string): void {
    const upload = this.#uploads.get(id);
    this.#uploads.delete(id);
    upload?.writer.abort();
  }

  /** Lets a repository have a blob until a manifest names it. */
  hold(repository: string, digest: Digest): void {
    this.#keep(repository, digest).digests.add(digest);
  }

  /** Keeps a blob from being deleted, be it there or not yet. */
  #keep(repository: string, digest: Digest): Pending {
    const pending = this.#pending.get(repository) ?? {
      lease: this.#store.leases.create(),
      digests: new Set<Digest>(),
      touchedAt: 0,
    };
    pending.touchedAt = this.#store.now();
    this.#pending.set(repository, pending);
    pending.lease.hold({ blobs: [digest] });
    return pending;
  }

  /** Whether a blob waits for its manifest. */
  holds(repository: string, digest: Digest): boolean {
    return this.#pending.get(repository)?.digests.has(digest) === true;
  }

  [Symbol.dispose](): void {
    for (const { writer } of this.#uploads.values()) writer.abort();
    for (const { lease } of this.#pending.values()) lease.release();
    this.#uploads.clear();
    this.#pending.clear();
  }

  #find(repository: string, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload?.repository !== repository) throw new Fault(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload');
    return upload;
  }

  /** An upload that nobody writes to at the moment. @throws Fault */
  #findIdle(repository: string, id: string): Upload {
    const upload = this.#find(repository, id);
    if (upload.busy) throw new Fault(409, 'BLOB_UPLOAD_INVALID', 'another request is sending this upload');
    return upload;
  }

  #sweep(): void {
    const since = this.#store.now() - IDLE_MS;
    for (const [id, { busy, touchedAt }] of this.#uploads) if (!busy && touchedAt < since) this.forget(id);
    // One layer may take longer than that, and those before it are needed when it is there.
    const sending = new Set([...this.#uploads.values()].map(({ repository }) => repository));
    for (const [repository, { lease, touchedAt }] of this.#pending)
      if (touchedAt < since && !sending.has(repository)) {
        lease.release();
        this.#pending.delete(repository);
      }
  }
}

/** The `Range` header of an upload: the bytes that are there (distribution-spec, "Pushing a blob in chunks"). */
export function rangeOf(size: number): string {
  return `0-${Math.max(0, size - 1)}`;
}
