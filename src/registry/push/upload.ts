import type { Repository } from '../../image/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { Call, Caller } from '../caller.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { type HttpAnswer, throwIfCanceled } from '../http/http.ts';
import { isPassing, isPassingStatus, waitForRetry } from '../http/retry.ts';
import type { PushBlob, PushOptions } from '../types.ts';
import { receivedBytes, uploadLocation, withDigest } from './upload-location.ts';

/** Bytes that count as getting on: who got on by so much has all tries again. */
const PROGRESS = 1 << 20;

/** What an upload needs to know. */
export interface UploadOptions extends Pick<PushOptions, 'onProgress'> {
  /** Begins messages, e.g. `Cannot push blob sha256:…`. */
  readonly doing: string;
  readonly endpoint: Endpoint;
  readonly blob: PushBlob;
  /** What the token must allow. */
  readonly scope: (from?: Repository) => string;
  /** Repositories of the same registry that may have the blob. */
  readonly mountFrom: readonly Repository[];
  /** Whether the registry has the blob by now. */
  readonly isThere: (task: Task) => Promise<boolean>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * One blob on its way into a repository (distribution-spec, "Pushing blobs"). It is sent in one piece; what the registry got of it when
 * the connection broke is not sent again, if the registry says how much that is; and where the whole is too large for the registry, or for
 * a proxy before it, in parts. Tries are bounded whatever goes wrong: only bytes that were never accepted before buy new ones.
 */
export class Upload {
  readonly #caller: Caller;
  readonly #options: UploadOptions;
  /** Where the upload goes on; undefined when there is none. */
  #location: URL | undefined;
  /** Bytes that the registry has. */
  #offset = 0;
  /** The most that it ever had. */
  #best = 0;
  /** Parts are at most so long. */
  #chunk = Number.POSITIVE_INFINITY;
  /** Parts are at least so long, but for the last (distribution-spec, `OCI-Chunk-Min-Length`). */
  #least = 0;
  /** Tries that failed since it last got on. */
  #failures = 0;

  constructor(caller: Caller, options: UploadOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  /** @throws TsbuildError as `Registry.pushBlob` */
  async run(task: Task): Promise<'mounted' | 'sent'> {
    if (await this.#mount(task)) return 'mounted';
    for (;;) {
      const outcome = await this.#part(task, this.#location ?? (await this.#begin(task)));
      if (outcome === 'complete') return 'sent';
      if (outcome === 'more') continue;
      await this.#wait(task, outcome);
      if (await this.#whereWeAre(task)) return 'sent';
    }
  }

  /**
   * Only takes the blob from a repository of the registry. An upload that the registry opens instead is ended (distribution-spec, "Pushing a
   * blob in chunks"): nobody wants it.
   * @returns whether it did
   * @throws TsbuildError `TSB_NETWORK`, `TSB_DIGEST`
   */
  async mount(task: Task): Promise<boolean> {
    if (await this.#mount(task)) return true;
    const location = this.#location;
    if (location === undefined) return false;
    this.#location = undefined;
    const answer = await this.#caller
      .call(task, { ...this.#call('DELETE', location), once: true })
      .catch(() => undefined);
    answer?.discard();
    throwIfCanceled(task);
    return false;
  }

  /** Tries to have the registry take the blob from a repository of its own. An upload may be open afterwards. */
  async #mount(task: Task): Promise<boolean> {
    const { blob, mountFrom } = this.#options;
    for (const from of mountFrom) {
      const query = String(new URLSearchParams({ mount: blob.digest, from: from.path }));
      const call = this.#call('POST', `blobs/uploads/?${query}`, { 'content-length': '0' }, from);
      const answer = await this.#caller.call(task, call).catch((error: unknown) => {
        // A token for both repositories is refused, where one for ours may not be.
        if (isTsbuildError(error, 'TSB_REGISTRY') || isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
        throw error;
      });
      if (answer === undefined) continue;
      answer.discard();
      if (answer.status === 201) {
        this.#checkDigest(answer);
        return true;
      }
      // Whatever else is said: being refused the other repository is no reason not to upload.
      if (answer.status === 202) {
        this.#opened(answer);
        return false;
      }
    }
    return false;
  }

  /** Opens an upload. */
  async #begin(task: Task): Promise<URL> {
    const call = this.#call('POST', 'blobs/uploads/', { 'content-length': '0' });
    this.#offset = 0;
    const answer = await this.#caller.call(task, call, { made: Math.min(this.#failures, this.#limits.attempts - 1) });
    if (answer.status !== 202) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    return this.#opened(answer);
  }

  /** Takes down where an upload goes on that the registry has opened. */
  #opened(answer: HttpAnswer): URL {
    const location = uploadLocation(answer, this.#options.doing);
    this.#location = location;
    const least = answer.header('oci-chunk-min-length') ?? '';
    this.#least = /^\d{1,12}$/.test(least) ? Number(least) : 0;
    return location;
  }

  /**
   * Sends the whole, the rest, a part, or the request that ends an upload.
   * @returns the failed answer, if it may be different the next time; undefined when there was none
   */
  async #part(task: Task, location: URL): Promise<'complete' | 'more' | HttpAnswer | undefined> {
    const { blob } = this.#options;
    const end = Math.min(blob.size, this.#offset + this.#chunk);
    const isWhole = this.#offset === 0 && end === blob.size;
    const isLast = isWhole || this.#offset === blob.size;
    const call: Call = isLast
      ? this.#call('PUT', withDigest(location, blob.digest), {
          'content-type': 'application/octet-stream',
          ...(isWhole ? {} : { 'content-length': '0' }),
        })
      : this.#call('PATCH', location, {
          'content-type': 'application/octet-stream',
          'content-range': `${this.#offset}-${end - 1}`,
        });
    const start = this.#offset;
    const body = isLast && !isWhole ? {} : { body: { size: end - start, open: () => this.#read(start, end) } };
    let answer: HttpAnswer;
    try {
      answer = await this.#caller.call(task, { ...call, ...body, once: true });
    } catch (error) {
      throwIfCanceled(task);
      if (!isTsbuildError(error, 'TSB_NETWORK') || !isPassing(error.cause) || this.#isLastTry()) throw error;
      return undefined;
    }
    const { status } = answer;
    if (isLast && (status === 201 || status === 204)) {
      answer.discard();
      this.#checkDigest(answer);
      return 'complete';
    }
    if (!isLast && status >= 200 && status < 300) {
      // One that took only some of it gets the rest, but not a byte at a time for ever.
      if (!this.#advance(answer, end) && ++this.#failures >= this.#limits.attempts)
        throw await this.#caller.failure(task, call, answer);
      answer.discard();
      return 'more';
    }
    if (status === 413 && this.#splits(end - start)) {
      // What was refused is no failure: smaller parts are another question.
      answer.discard();
      this.#location = undefined;
      return 'more';
    }
    if (!this.#mayPass(answer) || this.#isLastTry()) throw await this.#caller.failure(task, call, answer);
    return answer;
  }

  /** Takes down how much the registry says that it has now. @returns whether it is all that was sent */
  #advance(answer: HttpAnswer, end: number): boolean {
    const received = receivedBytes(answer) ?? end;
    if (answer.header('location') !== undefined) this.#location = uploadLocation(answer, this.#options.doing);
    // Less than was sent is gone on from; more cannot be.
    this.#offset = received > this.#offset && received <= end ? received : end;
    this.#progress();
    return this.#offset === end;
  }

  #progress(): void {
    if (this.#offset - this.#best < PROGRESS) return;
    this.#best = this.#offset;
    this.#failures = 0;
  }

  /** Makes parts smaller than what was too large. @returns false when they cannot be */
  #splits(tooLarge: number): boolean {
    const next = Math.max(this.#least, Math.min(this.#limits.chunkBytes, Math.floor(tooLarge / 2)));
    if (next >= tooLarge || next < Math.min(this.#limits.chunkBytes, PROGRESS)) return false;
    this.#chunk = next;
    return true;
  }

  /** An upload that the registry forgot, bytes that came out wrong on the other side, and whatever may pass. */
  #mayPass(answer: HttpAnswer): boolean {
    const { status } = answer;
    return isPassingStatus(status) || status === 404 || status === 416 || (status === 400 && this.#failures === 0);
  }

  #isLastTry(): boolean {
    return this.#failures + 1 >= this.#limits.attempts;
  }

  /** @param answer that failed, if there was one */
  async #wait(task: Task, answer: HttpAnswer | undefined): Promise<void> {
    const { endpoint, doing, now } = this.#options;
    this.#failures++;
    const waited = await waitForRetry(task, this.#limits, this.#failures, answer?.header('retry-after'), now);
    if (!waited && answer !== undefined)
      throw await this.#caller.failure(task, { doing, endpoint, method: 'PUT', path: 'blobs/uploads/' }, answer);
    answer?.discard();
    // The registry may have the wrong bytes, or none: from the start.
    if (answer?.status === 400 || answer?.status === 404) this.#location = undefined;
  }

  /**
   * Asks how much of the blob arrived before something broke.
   * @returns whether all of it did, and only the answer was lost
   */
  async #whereWeAre(task: Task): Promise<boolean> {
    const { isThere, doing, blob } = this.#options;
    if (this.#location !== undefined) {
      const answer = await this.#caller
        .call(task, { ...this.#call('GET', this.#location), once: true })
        .catch((error: unknown) => {
          throwIfCanceled(task);
          if (!isTsbuildError(error, 'TSB_NETWORK')) throw error;
          return undefined;
        });
      answer?.discard();
      if (answer !== undefined && answer.status >= 200 && answer.status < 300) {
        const received = receivedBytes(answer) ?? 0;
        if (received <= blob.size) {
          if (answer.header('location') !== undefined) this.#location = uploadLocation(answer, doing);
          this.#offset = received;
          this.#progress();
          return false;
        }
      }
    }
    this.#location = undefined;
    return isThere(task).catch((error: unknown) => {
      throwIfCanceled(task);
      if (!isTsbuildError(error)) throw error;
      // Whatever keeps us from asking keeps us from sending, too, and is said then.
      return false;
    });
  }

  #checkDigest(answer: HttpAnswer): void {
    const { blob, doing } = this.#options;
    const stored = answer.header('docker-content-digest');
    if (stored !== undefined && stored !== blob.digest)
      throw new TsbuildError('TSB_DIGEST', `${doing}: the registry stored it as another one`);
  }

  async *#read(start: number, end: number): AsyncGenerator<Uint8Array> {
    const { blob, onProgress } = this.#options;
    let sent = start;
    for await (const chunk of blob.open(start)) {
      const rest = end - sent;
      yield chunk.length <= rest ? chunk : chunk.subarray(0, rest);
      sent += Math.min(chunk.length, rest);
      onProgress?.(sent);
      // The end of a blob is read as well: whoever verifies does so there.
      if (sent === end && end < blob.size) return;
    }
  }

  #call(
    method: Call['method'],
    path: string | URL,
    headers: Readonly<Record<string, string>> = {},
    from?: Repository,
  ): Call {
    const { doing, endpoint, scope } = this.#options;
    return { doing, endpoint, method, path, headers, scope: scope(from) };
  }

  get #limits(): Caller['limits'] {
    return this.#caller.limits;
  }
}
