import type { LookupFunction } from 'node:net';
import type { Descriptor, Reference, Repository } from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { CertificateDir } from './http/certificates.ts';
import type { RegistriesConfig } from './registries-conf.ts';

/** A name and a password, which may be a token that a registry gave out as one. */
export interface PasswordCredential {
  readonly username: string;
  readonly password: string;
}

/**
 * What a user has for one registry host. An identity token is an OAuth refresh token, as `docker login` stores it; a registry token is sent
 * to the registry as it is.
 */
export type Credential = PasswordCredential | { readonly identityToken: string } | { readonly registryToken: string };

/** Where credentials come from. Asked at most once per repository and registry object, only after the host wanted them. */
export interface Credentials {
  /**
   * @param host `host[:port]`, `docker.io` for the Docker Hub
   * @param path the repository, which may have credentials of its own
   */
  get(task: Task, host: string, path?: string): Promise<Credential | undefined>;
}

/** How long to wait, in ms, and how much to accept, in bytes. Every limit has a default. */
export interface RegistryLimits {
  /** For a connection, TLS included. Default 10 s. */
  readonly connectMs?: number;
  /** From request to response headers, the connection included. Default 20 s. */
  readonly headersMs?: number;
  /** The same after the last bytes of an upload were read, which the registry has to put away first. Default 60 s. */
  readonly uploadAnswerMs?: number;
  /** Without a byte of the body. Default 20 s. */
  readonly idleMs?: number;
  /** For a whole small body (manifest, token, error). Default 30 s. */
  readonly smallBodyMs?: number;
  /** Blobs must arrive at `minBytesPerWindow` (default 40 KiB) per `windowMs` (default 20 s); two slow windows end the try. */
  readonly windowMs?: number;
  readonly minBytesPerWindow?: number;
  /** Tries per request, the first included. A blob that gets on by 1 MiB and breaks again begins to count anew. Default 3. */
  readonly attempts?: number;
  /** Wait before the second try; doubles each time. Default 1 s. */
  readonly backoffMs?: number;
  /** The longest `Retry-After` that is obeyed; beyond it the request fails. Default 60 s. */
  readonly maxRetryAfterMs?: number;
  /** Connections to one host at a time; what needs more waits. Default 10. */
  readonly connectionsPerHost?: number;
  /** Bytes of a part of an upload, for registries that do not take a blob in one piece. Default 16 MiB. */
  readonly chunkBytes?: number;
}

/** What a client needs of its surroundings. */
export interface RegistryOptions {
  /** Default: every registry as named, HTTPS only, loopback hosts excepted. */
  readonly config?: RegistriesConfig;
  /** Default: anonymous. */
  readonly credentials?: Credentials;
  readonly limits?: RegistryLimits;
  /** Milliseconds since the epoch, for `Retry-After` dates. */
  readonly now: () => number;
  /** Proxies from the environment (`https_proxy` and friends), read by the caller. Loopback hosts are never proxied. */
  readonly proxy?: { readonly http?: string; readonly https?: string; readonly no?: string };
  /** Directories with certificates by host, see `certificateDirs`. Default: none. */
  readonly certificateDirs?: readonly CertificateDir[];
  readonly userAgent?: string;
  /** Finds the addresses of hosts that are spoken to without a proxy. Default: the machine's resolver. */
  readonly lookup?: LookupFunction;
  /** Told about what was worked around: a mirror that failed, a repeated request. */
  readonly onWarning?: (message: string) => void;
}

/** A manifest or index with its descriptor: digest and size of the very bytes, media type as verified. */
export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Client of the OCI distribution API. Holds connections: dispose it. */
export interface Registry extends AsyncDisposable {
  /**
   * What a tag or digest stands for now, as the registry says. The digest of a tag is the registry's word until the
   * manifest is fetched by it, which is when it is verified.
   * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_REGISTRY`, `TSB_NETWORK`
   */
  resolve(task: Task, reference: Reference): Promise<Descriptor>;
  /**
   * The manifest or index of a reference; the digest wins over the tag when there are both. At most 4 MiB.
   * @throws TsbuildError as `resolve`, and `TSB_DIGEST`, `TSB_IMAGE`
   */
  manifest(task: Task, reference: Reference): Promise<FetchedManifest>;
  /**
   * The bytes of a blob, resumed where a connection broke. Never more than `descriptor.size` bytes; the end is reached
   * only when size and digest are right.
   * @param options `verify: false` leaves the digest to the consumer, who hashes anyway
   * @throws TsbuildError as `manifest`
   */
  blob(
    task: Task,
    repository: Repository,
    descriptor: { readonly digest: Digest; readonly size: number },
    options?: { readonly verify?: boolean },
  ): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * How many bytes a blob has, for one that no manifest tells of. The registry's word, until all of it was read.
   * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_REGISTRY`, `TSB_NETWORK`
   */
  blobSize(task: Task, repository: Repository, digest: Digest): Promise<number>;
  /**
   * Whether a registry has a blob in a repository already. Mirrors are not asked: pushing goes to the registry itself.
   * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`
   */
  hasBlob(
    task: Task,
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
  ): Promise<boolean>;
  /**
   * The same for a manifest or index. That a registry has it does not tell that it still has all that the manifest names.
   * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`
   */
  hasManifest(task: Task, repository: Repository, manifest: Pick<Descriptor, 'mediaType' | 'digest'>): Promise<boolean>;
  /**
   * Puts a blob into a repository, by mounting it from another one of the same registry where that is possible. An upload that
   * breaks off goes on where it was, if the registry kept what it had.
   * @returns how it got there
   * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`, `TSB_DIGEST` and what reading the blob throws
   */
  pushBlob(task: Task, repository: Repository, blob: PushBlob, options?: PushOptions): Promise<'mounted' | 'sent'>;
  /**
   * Has the registry take a blob over from another of its repositories (distribution-spec, "Mounting a blob from another repository"); one
   * that is there already stays.
   * @returns whether it did; no bytes are sent otherwise
   * @throws TsbuildError `TSB_NETWORK`, `TSB_DIGEST`
   */
  mountBlob(
    task: Task,
    repository: Repository,
    blob: { readonly digest: Digest; readonly size: number },
    from: Repository,
  ): Promise<boolean>;
  /**
   * Puts a manifest or index under the tag of a reference, or under its own digest where there is no tag. One that refers to another
   * is made known as its referrer, where the registry does not do so by itself.
   * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`, `TSB_DIGEST`; `TSB_NOT_FOUND` where there is no such repository, or a registry says
   *   by it that blobs are missing
   */
  pushManifest(
    task: Task,
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    options?: PushManifestOptions,
  ): Promise<Descriptor>;
  /**
   * What refers to a manifest: signatures, attestations (distribution-spec, "Listing Referrers"), by the tag that stands in for the
   * list where a registry does not have it.
   * @param artifactType only these
   * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`, `TSB_IMAGE`
   */
  referrers(task: Task, repository: Repository, digest: Digest, artifactType?: string): Promise<readonly Descriptor[]>;
}

/** A blob to push. */
export interface PushBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Its bytes from `start` on. Called again when the transfer goes on or begins anew. */
  readonly open: (start: number) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** What is known of a manifest that is pushed. */
export interface PushManifestOptions {
  /**
   * Whether all that it names is known to be there. Then a refusal is none where the tag is what it is to become, as of tags that cannot be
   * written twice; otherwise it may be about what is missing. Default: true.
   */
  readonly isWhole?: boolean;
}

/** What makes a push cheaper or visible. */
export interface PushOptions {
  /** Repositories that are known to have the blob; those of other registries do not count. */
  readonly mountFrom?: readonly Repository[];
  /** Told how many bytes of the blob were sent so far; less than before when it begins anew. */
  readonly onProgress?: (sent: number) => void;
}
