import { type Digest, Hasher, isDigest, messageOf, sha256, TsbuildError } from '../util/index.ts';
import {
  mediaTypes,
  type Descriptor,
  documentMediaType,
  MAX_MANIFEST_BYTES,
  formatReference,
  type Reference,
  type Repository,
} from '../image/index.ts';
import type { Task } from '../events/index.ts';
import { type Call, Caller, type Tries } from './caller.ts';
import type { Endpoint } from './http/endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { type HttpAnswer, throwIfCanceled } from './http/http.ts';
import { Pusher } from './push/push.ts';
import { listReferrers } from './referrers.ts';
import { isPassing, isPassingStatus, networkError, waitForRetry } from './http/retry.ts';
import type {
  FetchedManifest,
  PushBlob,
  PushManifestOptions,
  PushOptions,
  Registry,
  RegistryOptions,
} from './types.ts';

const ACCEPT = [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest].join(
  ', ',
);

/** Makes a client. Nothing is loaded or connected before the first request. */
export function createRegistry(options: RegistryOptions): Registry {
  return new RegistryClient(options);
}

class RegistryClient implements Registry {
  readonly #options: RegistryOptions;
  readonly #caller: Caller;
  readonly #pusher: Pusher;
  readonly #endpoints: Endpoints;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#caller = new Caller(options);
    this.#endpoints = new Endpoints(options.config);
    this.#pusher = new Pusher(this.#caller, options);
  }

  async resolve(task: Task, reference: Reference): Promise<Descriptor> {
    const doing = `Cannot resolve ${JSON.stringify(formatReference(reference))}`;
    return this.#tryEndpoints(task, reference, async (endpoint) => {
      const call: Call = {
        doing,
        endpoint,
        method: 'HEAD',
        path: manifestPath(reference),
        headers: { accept: ACCEPT },
      };
      const answer = await this.#caller.call(task, call);
      if (isPassingStatus(answer.status)) throw await this.#caller.failure(task, call, answer);
      answer.discard();
      const digest = answer.header('docker-content-digest');
      const size = Number(answer.header('content-length') ?? Number.NaN);
      const mediaType = contentType(answer);
      const complete =
        isDigest(digest) &&
        // Some say that an answer without a body has no bytes.
        Number.isSafeInteger(size) &&
        size > 0 &&
        mediaType !== undefined &&
        ACCEPT.split(', ').includes(mediaType);
      // Registries without these headers, or without HEAD, are asked for the document itself.
      if (answer.status !== 200 || !complete)
        return (await this.#manifestFrom(task, reference, endpoint, doing)).descriptor;
      if (size > MAX_MANIFEST_BYTES) throw tooLarge(doing, size);
      if (reference.digest !== undefined && digest !== reference.digest)
        throw wrongDigest(doing, reference.digest, digest);
      return { mediaType, digest, size };
    });
  }

  async manifest(task: Task, reference: Reference): Promise<FetchedManifest> {
    const doing = `Cannot load manifest of ${JSON.stringify(formatReference(reference))}`;
    return this.#tryEndpoints(task, reference, async (endpoint) =>
      this.#manifestFrom(task, reference, endpoint, doing),
    );
  }

  async #manifestFrom(task: Task, reference: Reference, endpoint: Endpoint, doing: string): Promise<FetchedManifest> {
    const call: Call = { doing, endpoint, method: 'GET', path: manifestPath(reference), headers: { accept: ACCEPT } };
    const bytes = await this.#caller.retryBody(task, call, async (answer) => {
      if (answer.status !== 200) throw await this.#caller.failure(task, call, answer);
      const length = Number(answer.header('content-length') ?? 0);
      if (length > MAX_MANIFEST_BYTES) {
        answer.discard();
        throw tooLarge(doing, length);
      }
      return { body: await answer.small(MAX_MANIFEST_BYTES), mediaType: contentType(answer) };
    });
    const digest = sha256(bytes.body);
    if (reference.digest !== undefined && digest !== reference.digest)
      throw wrongDigest(doing, reference.digest, digest);
    const mediaType = documentMediaType(
      bytes.body,
      bytes.mediaType,
      `manifest of ${JSON.stringify(formatReference(reference))}`,
    );
    return { descriptor: { mediaType, digest, size: bytes.body.length }, bytes: bytes.body };
  }

  async *blob(
    task: Task,
    repository: Repository,
    descriptor: { readonly digest: Digest; readonly size: number },
    options: { readonly verify?: boolean } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const reference = { host: repository.host, path: repository.path, digest: descriptor.digest };
    const doing = `Cannot load blob ${descriptor.digest} of ${JSON.stringify(`${repository.host}/${repository.path}`)}`;
    const endpoints = this.#endpoints.of(reference);
    const hasher = options.verify === false ? undefined : new Hasher();
    let offset = 0;
    for (const [index, endpoint] of endpoints.entries()) {
      try {
        for await (const chunk of this.#blobFrom(task, endpoint, descriptor, doing, offset)) {
          offset += chunk.length;
          hasher?.update(chunk);
          yield chunk;
        }
        break;
      } catch (error) {
        this.#fallThrough(task, error, endpoint, index === endpoints.length - 1);
      }
    }
    const digest = hasher?.digest() ?? descriptor.digest;
    if (digest !== descriptor.digest) throw wrongDigest(doing, descriptor.digest, digest);
  }

  /** The bytes from `offset` on, from one endpoint, over as many connections as it takes. */
  async *#blobFrom(
    task: Task,
    endpoint: Endpoint,
    { digest, size }: { readonly digest: Digest; readonly size: number },
    doing: string,
    start: number,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let offset = start;
    let ranges = true;
    const tries: Tries = { made: 0 };
    for (;;) {
      const before = offset;
      const call: Call = {
        doing,
        endpoint,
        method: 'GET',
        path: `blobs/${digest}`,
        ...(ranges && offset > 0 ? { headers: { range: `bytes=${offset}-` } } : {}),
      };
      const answer = await this.#caller.call(task, call, tries);
      if (offset > 0 && ranges && !rangeIsRight(answer, offset, size)) {
        // 416, or a range that was not asked for: take the whole blob again and skip what we have.
        answer.discard();
        ranges = false;
        tries.made--;
        continue;
      }
      if (answer.status !== 200 && !(answer.status === 206 && offset > 0 && ranges))
        throw await this.#caller.failure(task, call, answer);
      let skip = answer.status === 206 ? 0 : offset;
      let received = offset - skip;
      let problem: unknown;
      try {
        for await (const chunk of answer.stream()) {
          received += chunk.length;
          if (received > size) {
            throw new TsbuildError(
              'TSB_DIGEST',
              `${doing}: it is longer than the ${size} bytes that its descriptor says`,
            );
          }
          const dropped = Math.min(skip, chunk.length);
          skip -= dropped;
          if (dropped === chunk.length) continue;
          offset += chunk.length - dropped;
          yield dropped === 0 ? chunk : chunk.subarray(dropped);
        }
        if (received === size) return;
        problem = new TsbuildError('TSB_DIGEST', `${doing}: it ended after ${received} of ${size} bytes`);
      } catch (error) {
        throwIfCanceled(task);
        if (!isPassing(error)) throw networkError(doing, endpoint.host, error);
        problem = error;
      }
      // Progress buys new tries, so that a large blob survives a bad line.
      if (offset - before >= 1024 * 1024) tries.made = 1;
      if (tries.made >= this.#caller.limits.attempts) throw networkError(doing, endpoint.host, problem);
      await waitForRetry(task, this.#caller.limits, tries.made, undefined, this.#options.now);
    }
  }

  async blobSize(task: Task, { host, path }: Repository, digest: Digest): Promise<number> {
    const doing = `Cannot find blob ${digest} of ${JSON.stringify(`${host}/${path}`)}`;
    return this.#tryEndpoints(task, { host, path, digest }, async (endpoint) => {
      // Registries without HEAD, or that say that an answer without a body has no bytes, are asked for the blob itself.
      for (const method of ['HEAD', 'GET'] as const) {
        const call: Call = { doing, endpoint, method, path: `blobs/${digest}` };
        const answer = await this.#caller.call(task, call);
        const size = Number(answer.header('content-length') ?? Number.NaN);
        const isSaid = answer.status === 200 && Number.isSafeInteger(size) && (size > 0 || method === 'GET');
        if (answer.status !== 200 && method === 'GET') throw await this.#caller.failure(task, call, answer);
        answer.discard();
        if (isSaid) return size;
      }
      throw new TsbuildError('TSB_REGISTRY', `${doing}: ${endpoint.host} does not say how many bytes it has`);
    });
  }

  hasBlob(
    task: Task,
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
  ): Promise<boolean> {
    return this.#pusher.hasBlob(task, repository, blob);
  }

  hasManifest(
    task: Task,
    repository: Repository,
    manifest: Pick<Descriptor, 'mediaType' | 'digest'>,
  ): Promise<boolean> {
    return this.#pusher.hasManifest(task, repository, manifest);
  }

  pushBlob(task: Task, repository: Repository, blob: PushBlob, options?: PushOptions): Promise<'mounted' | 'sent'> {
    return this.#pusher.pushBlob(task, repository, blob, options);
  }

  mountBlob(
    task: Task,
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
    from: Repository,
  ): Promise<boolean> {
    return this.#pusher.mountBlob(task, repository, blob, from);
  }

  pushManifest(
    task: Task,
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    options?: PushManifestOptions,
  ): Promise<Descriptor> {
    return this.#pusher.pushManifest(task, reference, mediaType, bytes, options);
  }

  referrers(task: Task, repository: Repository, digest: Digest, artifactType?: string): Promise<readonly Descriptor[]> {
    const { host, path } = repository;
    return this.#tryEndpoints(task, { host, path, digest }, (endpoint) =>
      listReferrers(task, this.#caller, endpoint, digest, artifactType),
    );
  }

  /** Runs `use` on the endpoints of a reference, mirrors first, until one succeeds. */
  async #tryEndpoints<T>(task: Task, reference: Reference, use: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const endpoints = this.#endpoints.of(reference);
    for (const [index, endpoint] of endpoints.entries()) {
      try {
        return await use(endpoint);
      } catch (error) {
        this.#fallThrough(task, error, endpoint, index === endpoints.length - 1);
      }
    }
    throw new TsbuildError('TSB_INTERNAL', `No endpoint for ${formatReference(reference)}`);
  }

  /** Lets a mirror's failure pass; the last endpoint's is the caller's. */
  #fallThrough(task: Task, error: unknown, endpoint: Endpoint, last: boolean): void {
    throwIfCanceled(task);
    if (last) throw error;
    const again = this.#endpoints.failed(endpoint, error) ? '' : '; it is not asked again';
    this.#options.onWarning?.(`Mirror ${endpoint.host} failed: ${messageOf(error)}${again}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller[Symbol.asyncDispose]();
  }
}

/** A digest wins over a tag: it cannot come to mean something else. */
function manifestPath(reference: Reference): string {
  return `manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
}

/** Whether an answer to `Range: bytes=<offset>-` can be used: the right part, or the whole. */
function rangeIsRight(answer: HttpAnswer, offset: number, size: number): boolean {
  if (answer.status === 206)
    return answer.header('content-range')?.replaceAll(/\s+/g, ' ') === `bytes ${offset}-${size - 1}/${size}`;
  return answer.status !== 416;
}

/** Without parameters such as `charset`. */
function contentType(answer: HttpAnswer): string | undefined {
  return answer.header('content-type')?.split(';')[0]?.trim().toLowerCase();
}

function wrongDigest(doing: string, wanted: Digest, got: Digest): TsbuildError {
  return new TsbuildError('TSB_DIGEST', `${doing}: the registry sent content with digest ${got} instead of ${wanted}`);
}

function tooLarge(doing: string, size: number): TsbuildError {
  return new TsbuildError(
    'TSB_REGISTRY',
    `${doing}: it has ${size} bytes, more than the limit of ${MAX_MANIFEST_BYTES}`,
  );
}
