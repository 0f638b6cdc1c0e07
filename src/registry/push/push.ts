import { type Descriptor, formatReference, type Reference, type Repository } from '../../image/index.ts';
import { type Digest, isTsbuildError, sha256, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { Call, Caller, Tries } from '../caller.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { throwIfCanceled } from '../http/http.ts';
import { waitForRetry } from '../http/retry.ts';
import { announceReferrer } from '../referrers.ts';
import { emptyRegistriesConfig, endpointsFor } from '../registries-conf.ts';
import type { PushBlob, PushManifestOptions, PushOptions, RegistryOptions } from '../types.ts';
import { Upload } from './upload.ts';

/** The words of the distribution-spec's code DIGEST_INVALID, as docker's distribution has them. */
const DIGEST_INVALID = 'provided digest did not match uploaded content';

/** Repositories that are asked for a blob before it is sent: a mount that is refused costs a request. */
const MAX_MOUNTS = 2;

/** The pushing half of the OCI distribution API (distribution-spec, "Push"). */
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
    const endpoint = this.endpoint(repository);
    const doing = `Cannot look for blob ${digest} in ${nameOf(repository)}`;
    const call: Call = { doing, endpoint, method: 'HEAD', path: `blobs/${digest}`, scope: pushScope(endpoint) };
    const answer = await this.#caller.call(task, call);
    if (answer.status !== 200 && answer.status !== 404) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    // A registry that says nothing about the size is taken at its word.
    return answer.status === 200 && Number(answer.header('content-length') ?? size) === size;
  }

  /** Whether a manifest or index is there, by its digest. */
  async hasManifest(
    task: Task,
    repository: Repository,
    { mediaType, digest }: Pick<Descriptor, 'mediaType' | 'digest'>,
  ): Promise<boolean> {
    const endpoint = this.endpoint(repository);
    const call: Call = {
      doing: `Cannot look for manifest ${digest} in ${nameOf(repository)}`,
      endpoint,
      method: 'HEAD',
      path: `manifests/${digest}`,
      headers: { accept: mediaType },
      scope: pushScope(endpoint),
    };
    const answer = await this.#caller.call(task, call);
    if (answer.status === 401 || answer.status === 403) throw await this.#caller.failure(task, call, answer);
    answer.discard();
    return answer.status === 200 && (answer.header('docker-content-digest') ?? digest) === digest;
  }

  async pushBlob(
    task: Task,
    repository: Repository,
    blob: PushBlob,
    { mountFrom = [], ...options }: PushOptions = {},
  ): Promise<'mounted' | 'sent'> {
    const neighbours = mountFrom
      .filter(({ host, path }) => host === repository.host && path !== repository.path)
      .slice(0, MAX_MOUNTS);
    return this.#upload(repository, blob, neighbours, options).run(task);
  }

  async mountBlob(
    task: Task,
    repository: Repository,
    { digest, size }: { readonly digest: Digest; readonly size: number },
    from: Repository,
  ): Promise<boolean> {
    return this.#upload(repository, { digest, size, open: () => [] }, [from]).mount(task);
  }

  #upload(
    repository: Repository,
    blob: PushBlob,
    mountFrom: readonly Repository[],
    options: Pick<PushOptions, 'onProgress'> = {},
  ): Upload {
    const endpoint = this.endpoint(repository);
    return new Upload(this.#caller, {
      ...options,
      doing: `Cannot push blob ${blob.digest} to ${nameOf(repository)}`,
      endpoint,
      blob,
      mountFrom,
      scope: (from) => pushScope(endpoint, from),
      isThere: (inner) => this.hasBlob(inner, repository, blob),
      now: this.#options.now,
    });
  }

  async pushManifest(
    task: Task,
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    { isWhole = true }: PushManifestOptions = {},
  ): Promise<Descriptor> {
    const endpoint = this.endpoint(reference);
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
    const { limits } = this.#caller;
    const tries: Tries = { made: 0 };
    let answer = await this.#caller.call(task, call, tries);
    while (answer.status !== 201 && answer.status !== 200) {
      const error = await this.#caller.failure(task, call, answer);
      // Docker's distribution says so while somebody else is just linking a blob that the manifest names: it reads the link half written.
      if (answer.status === 400 && tries.made < limits.attempts && error.message.includes(DIGEST_INVALID)) {
        await waitForRetry(task, limits, tries.made, undefined, this.#options.now);
        answer = await this.#caller.call(task, call, tries);
        continue;
      }
      // Where tags cannot be written twice, the same again is refused too, and is as good as done.
      const isDone =
        isWhole &&
        reference.tag !== undefined &&
        answer.status !== 401 &&
        (await this.#isTagged(task, reference, digest));
      if (!isDone) throw error;
      return { mediaType, digest, size: bytes.length };
    }
    answer.discard();
    const stored = answer.header('docker-content-digest');
    if (stored !== undefined && stored !== digest)
      throw new TsbuildError('TSB_DIGEST', `${doing}: the registry stored it as another one than ${digest}`);
    const descriptor = { mediaType, digest, size: bytes.length };
    const isKnown = answer.header('oci-subject') !== undefined;
    await announceReferrer(task, this.#caller, endpoint, { descriptor, bytes, isKnown }, this.#options.now);
    return descriptor;
  }

  /** Whether a tag is what it is to become. */
  async #isTagged(task: Task, { host, path, tag }: Reference, digest: Digest): Promise<boolean> {
    const endpoint = this.endpoint({ host, path });
    const doing = `Cannot look for tag "${tag}" in ${nameOf({ host, path })}`;
    const call: Call = {
      doing,
      endpoint,
      method: 'HEAD',
      path: `manifests/${tag}`,
      scope: pushScope(endpoint),
      once: true,
    };
    try {
      const answer = await this.#caller.call(task, { ...call, headers: { accept: '*/*' } });
      answer.discard();
      return answer.status === 200 && answer.header('docker-content-digest') === digest;
    } catch (error) {
      throwIfCanceled(task);
      if (isTsbuildError(error)) return false;
      throw error;
    }
  }

  /** The registry itself, for mirrors are for reading. */
  endpoint({ host, path }: Repository): Endpoint {
    const endpoint = endpointsFor({ host, path }, this.#options.config ?? emptyRegistriesConfig).at(-1);
    if (endpoint === undefined) throw new TsbuildError('TSB_INTERNAL', `No endpoint for ${host}/${path}`);
    return endpoint;
  }
}

function nameOf({ host, path }: Repository): string {
  return JSON.stringify(`${host}/${path}`);
}

/** What a token must allow: to read and write here, and to read where blobs are mounted from. */
export function pushScope({ path }: Endpoint, from?: Repository): string {
  return `repository:${path}:pull,push${from === undefined ? '' : ` repository:${from.path}:pull`}`;
}
