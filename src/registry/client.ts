import {
  type Digest,
  Hasher,
  isDigest,
  mediaTypes,
  sha256,
  type Descriptor,
  type Task,
  TsbuildError,
} from '../util/index.ts';
import { answerError, SMALL_BODY_LIMIT } from './answer.ts';
import { Authenticator, type AuthScope } from './auth.ts';
import { apiHost, type Endpoint } from './endpoint.ts';
import { type HttpAnswer, HttpClient, throwIfCanceled } from './http.ts';
import { documentMediaType } from './manifest.ts';
import { formatReference, type Reference, type Repository } from './reference.ts';
import { emptyRegistriesConfig, endpointsFor } from './registries-conf.ts';
import { isPassing, isPassingStatus, networkError, waitForRetry } from './retry.ts';
import type { FetchedManifest, Registry, RegistryOptions } from './types.ts';

/** Largest manifest or index, in bytes: containerd's limit. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;

const ACCEPT = [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest].join(
  ', ',
);

/** A request to one endpoint: path below `/v2/<repository>/`. */
interface Call {
  readonly doing: string;
  readonly endpoint: Endpoint;
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes a client. Nothing is loaded or connected before the first request. */
export function createRegistry(options: RegistryOptions): Registry {
  return new RegistryClient(options);
}

class RegistryClient implements Registry {
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #auth: Authenticator;
  /** What insecure hosts turned out to speak. */
  readonly #schemes = new Map<string, 'https' | 'http'>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#http = new HttpClient(options);
    this.#auth = new Authenticator(this.#http, options.credentials);
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
      const answer = await this.#call(task, call);
      if (isPassingStatus(answer.status)) throw await this.#failure(task, call, answer);
      answer.discard();
      const digest = answer.header('docker-content-digest');
      const size = Number(answer.header('content-length') ?? Number.NaN);
      const mediaType = contentType(answer);
      const complete =
        isDigest(digest) &&
        Number.isSafeInteger(size) &&
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
    const bytes = await this.#retryBody(task, call, async (answer) => {
      if (answer.status !== 200) throw await this.#failure(task, call, answer);
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
    const endpoints = endpointsFor(reference, this.#options.config ?? emptyRegistriesConfig);
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
    for (let attempt = 1; ; attempt++) {
      const before = offset;
      const call: Call = {
        doing,
        endpoint,
        method: 'GET',
        path: `blobs/${digest}`,
        ...(ranges && offset > 0 ? { headers: { range: `bytes=${offset}-` } } : {}),
      };
      const answer = await this.#call(task, call);
      if (offset > 0 && ranges && !rangeIsRight(answer, offset, size)) {
        // 416, or a range that was not asked for: take the whole blob again and skip what we have.
        answer.discard();
        ranges = false;
        continue;
      }
      if (answer.status !== 200 && !(answer.status === 206 && offset > 0 && ranges))
        throw await this.#failure(task, call, answer);
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
      if (offset - before >= 1024 * 1024) attempt = 1;
      if (attempt >= this.#http.limits.attempts) throw networkError(doing, endpoint.host, problem);
      await waitForRetry(task, this.#http.limits, attempt, undefined, this.#options.now);
    }
  }

  /** Runs `use` on the endpoints of a reference, mirrors first, until one succeeds. */
  async #tryEndpoints<T>(task: Task, reference: Reference, use: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const endpoints = endpointsFor(reference, this.#options.config ?? emptyRegistriesConfig);
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
    this.#options.onWarning?.(
      `Mirror ${endpoint.host} failed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Sends a call and reads its body, both again when the connection breaks. */
  async #retryBody<T>(task: Task, call: Call, read: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#call(task, call);
      try {
        return await read(answer);
      } catch (error) {
        throwIfCanceled(task);
        if (!isPassing(error) || attempt >= this.#http.limits.attempts)
          throw networkError(call.doing, call.endpoint.host, error);
        await waitForRetry(task, this.#http.limits, attempt, undefined, this.#options.now);
      }
    }
  }

  /** Sends one call: finds the scheme, authenticates, repeats what may go away. Every final status is returned. */
  async #call(task: Task, call: Call): Promise<HttpAnswer> {
    const { limits } = this.#http;
    for (let attempt = 1; ; attempt++) {
      let answer: HttpAnswer | undefined;
      let failure: unknown;
      try {
        answer = await this.#authenticated(task, call);
      } catch (error) {
        throwIfCanceled(task);
        if (error instanceof TsbuildError) throw error;
        failure = error;
      }
      if (answer !== undefined && !isPassingStatus(answer.status)) return answer;
      const passing = answer !== undefined || isPassing(failure);
      const again = passing && attempt < limits.attempts && (await this.#waitAgain(task, attempt, answer));
      if (again) continue;
      if (answer !== undefined) return answer;
      throw networkError(call.doing, call.endpoint.host, failure);
    }
  }

  async #waitAgain(task: Task, attempt: number, answer: HttpAnswer | undefined): Promise<boolean> {
    const waited = await waitForRetry(
      task,
      this.#http.limits,
      attempt,
      answer?.header('retry-after'),
      this.#options.now,
    );
    if (waited) answer?.discard();
    return waited;
  }

  async #authenticated(task: Task, call: Call): Promise<HttpAnswer> {
    for (let round = 1; ; round++) {
      const { answer, scope, sent } = await this.#overScheme(task, call);
      // A 401 from where a redirect led is that host's affair and gets no credentials.
      if (answer.status !== 401 || answer.url.origin !== scope.origin || round === 3) return answer;
      if ((await this.#auth.authenticate(task, scope, answer, sent)) === undefined) return answer;
      answer.discard();
    }
  }

  /** HTTPS, and for insecure endpoints without it HTTP. */
  async #overScheme(
    task: Task,
    call: Call,
  ): Promise<{ answer: HttpAnswer; scope: AuthScope; sent: string | undefined }> {
    const { endpoint } = call;
    const host = apiHost(endpoint.host);
    const known = this.#schemes.get(host);
    const schemes =
      known === undefined ? (endpoint.insecure ? (['https', 'http'] as const) : (['https'] as const)) : [known];
    let failure: unknown;
    for (const scheme of schemes) {
      const url = new URL(`${scheme}://${host}/v2/${endpoint.path}/${call.path}`);
      const scope: AuthScope = {
        origin: url.origin,
        host: endpoint.host,
        scope: `repository:${endpoint.path}:pull`,
        insecure: endpoint.insecure,
      };
      const sent = this.#auth.header(scope);
      try {
        const answer = await this.#http.send(task, {
          method: call.method,
          url,
          headers: call.headers ?? {},
          ...(sent === undefined ? {} : { authorization: sent }),
          insecure: endpoint.insecure,
          redirects: 'follow',
        });
        if (endpoint.insecure) this.#schemes.set(host, scheme);
        return { answer, scope, sent };
      } catch (error) {
        throwIfCanceled(task);
        if (error instanceof TsbuildError) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async #failure(task: Task, call: Call, answer: HttpAnswer): Promise<TsbuildError> {
    let body: Uint8Array = new Uint8Array();
    try {
      body = await answer.small(SMALL_BODY_LIMIT);
    } catch {
      throwIfCanceled(task);
    }
    return answerError(call.doing, { method: answer.method, url: answer.url, status: answer.status, body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

function manifestPath(reference: Reference): string {
  return `manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
}

/** Whether an answer to `Range: bytes=<offset>-` can be used: the right part, or the whole. */
function rangeIsRight(answer: HttpAnswer, offset: number, size: number): boolean {
  if (answer.status === 206)
    return answer.header('content-range')?.replaceAll(/\s+/g, ' ') === `bytes ${offset}-${size - 1}/${size}`;
  return answer.status !== 416;
}

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
