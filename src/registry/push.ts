import { type Descriptor, formatReference, type Reference, type Repository } from '../image/index.ts';
import { type Digest, isTsbuildError, sha256, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { Call, Caller } from './caller.ts';
import type { Endpoint } from './endpoint.ts';
import { type HttpAnswer, throwIfCanceled } from './http.ts';
import { isAcceptableRedirect } from './realm.ts';
import { emptyRegistriesConfig, endpointsFor } from './registries-conf.ts';
import { isPassing, isPassingStatus, waitForRetry } from './retry.ts';
import type { PushBlob, PushOptions, RegistryOptions } from './types.ts';

/** The pushing half of the OCI distribution API (distribution-spec, "Push"): whole blobs, no chunks. */
export class Pusher {
  readonly #caller: Caller;
  readonly #options: RegistryOptions;

  constructor(caller: Caller, options: RegistryOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  /** Whether the blob is there, with its size; nothing is transferred. */
  async hasBlob(
    task: Task,
    repository: Repository,
    { digest, size }: { readonly digest: Digest; readonly size: number },
  ): Promise<boolean> {
    const endpoint = this.#endpoint(repository);
    const doing = `Cannot look for blob ${digest} in ${nameOf(repository)}`;
    const call: Call = { doing, endpoint, method: 'HEAD', path: `blobs/${digest}`, scope: pushScope(endpoint) };
    const answer = await this.#caller.call(task, call);
    if (answer.status !== 200 && answer.status !== 404) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    // A registry that says nothing about the size is taken at its word.
    return answer.status === 200 && Number(answer.header('content-length') ?? size) === size;
  }

  async pushBlob(task: Task, repository: Repository, blob: PushBlob, options: PushOptions = {}): Promise<void> {
    const { limits } = this.#caller;
    const endpoint = this.#endpoint(repository);
    const doing = `Cannot push blob ${blob.digest} to ${nameOf(repository)}`;
    const from = options.mountFrom?.host === repository.host ? options.mountFrom : undefined;
    for (let attempt = 1; ; attempt++) {
      const location = await this.#begin(task, endpoint, doing, blob.digest, attempt, attempt === 1 ? from : undefined);
      if (location === undefined) return;
      const call: Call = {
        doing,
        endpoint,
        method: 'PUT',
        path: location,
        headers: { 'content-type': 'application/octet-stream' },
        body: { size: blob.size, open: () => counted(blob.open(), options.onProgress) },
        scope: pushScope(endpoint),
        once: true,
      };
      let answer: HttpAnswer | undefined;
      try {
        answer = await this.#caller.call(task, call);
        if (answer.status === 201 || answer.status === 204) {
          answer.discard();
          return;
        }
        if (!isPassingStatus(answer.status) || attempt >= limits.attempts)
          throw await this.#caller.failure(task, call, answer);
      } catch (error) {
        throwIfCanceled(task);
        const passing = isTsbuildError(error, 'TSB_NETWORK') && isPassing(error.cause);
        if (!passing || attempt >= limits.attempts) throw error;
      }
      const retryAfter = answer?.header('retry-after');
      if (!(await waitForRetry(task, limits, attempt, retryAfter, this.#options.now)) && answer !== undefined)
        throw await this.#caller.failure(task, call, answer);
      answer?.discard();
    }
  }

  /**
   * Opens an upload.
   * @param attempt of the whole upload, from 1: the later, the fewer tries are left for this part
   * @returns where it goes on, or undefined when the blob could be mounted and is there
   */
  async #begin(
    task: Task,
    endpoint: Endpoint,
    doing: string,
    digest: Digest,
    attempt: number,
    from: Repository | undefined,
  ): Promise<URL | undefined> {
    const query = from === undefined ? '' : `?${String(new URLSearchParams({ mount: digest, from: from.path }))}`;
    const call: Call = {
      doing,
      endpoint,
      method: 'POST',
      path: `blobs/uploads/${query}`,
      headers: { 'content-length': '0' },
      scope: pushScope(endpoint, from),
    };
    const answer = await this.#caller.call(task, call, { made: attempt - 1 });
    if (from !== undefined && answer.status === 201) {
      answer.discard();
      return undefined;
    }
    if (answer.status !== 202) {
      // Being refused the other repository is no reason not to upload.
      if (from === undefined || answer.status < 400 || answer.status >= 500)
        throw await this.#caller.failure(task, call, answer);
      answer.discard();
      return this.#begin(task, endpoint, doing, digest, attempt, undefined);
    }
    answer.discard();
    const location = uploadLocation(answer, doing);
    location.searchParams.set('digest', digest);
    return location;
  }

  async pushManifest(task: Task, reference: Reference, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
    const endpoint = this.#endpoint(reference);
    const digest = sha256(bytes);
    const doing = `Cannot push manifest of ${JSON.stringify(formatReference(reference))}`;
    const call: Call = {
      doing,
      endpoint,
      method: 'PUT',
      path: `manifests/${reference.tag ?? digest}`,
      headers: { 'content-type': mediaType },
      body: bytes,
      scope: pushScope(endpoint),
    };
    const answer = await this.#caller.call(task, call);
    if (answer.status !== 201) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    const stored = answer.header('docker-content-digest');
    if (stored !== undefined && stored !== digest)
      throw new TsbuildError('TSB_DIGEST', `${doing}: the registry stored it as another one than ${digest}`);
    return { mediaType, digest, size: bytes.length };
  }

  /** The registry itself, for mirrors are for reading. */
  #endpoint({ host, path }: Repository): Endpoint {
    const endpoint = endpointsFor({ host, path }, this.#options.config ?? emptyRegistriesConfig).at(-1);
    if (endpoint === undefined) throw new TsbuildError('TSB_INTERNAL', `No endpoint for ${host}/${path}`);
    return endpoint;
  }
}

function nameOf({ host, path }: Repository): string {
  return JSON.stringify(`${host}/${path}`);
}

/** What a token must allow: to read and write here, and to read where blobs are mounted from. */
function pushScope({ path }: Endpoint, from?: Repository): string {
  return `repository:${path}:pull,push${from === undefined ? '' : ` repository:${from.path}:pull`}`;
}

/** Where the registry wants the bytes: on its own host, or on one that it may send us to (SSRF, as for redirects). */
function uploadLocation(answer: HttpAnswer, doing: string): URL {
  const location = answer.header('location');
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_REGISTRY', `${doing}: the registry's place for the upload ${why}`);
  if (location === undefined || !URL.canParse(location, answer.url.href)) throw fail('is not a URL');
  const url = new URL(location, answer.url.href);
  if (url.username !== '' || url.password !== '') throw fail('contains user information');
  if (!isAcceptableRedirect(url, answer.url)) throw fail('is on a host that is not acceptable from there');
  return url;
}

async function* counted(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  onProgress: ((sent: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of chunks) {
    yield chunk;
    sent += chunk.length;
    onProgress?.(sent);
  }
}
