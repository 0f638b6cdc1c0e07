import type { Registry } from '../registry/index.ts';
import type { ContentProvider, Repository, Descriptor, ImageConfig, Manifest, Platform } from '../image/index.ts';
import type { Lease, Store } from '../store/index.ts';
import type { Digest } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { Pins } from '../pins/index.ts';

/**
 * Where an image may come from. `default`: a name in the local image store is used as it is, every other reference is
 * resolved at its registry anew. `pull`: the registry is always asked. `local`: what was resolved before is good enough.
 */
export type ResolveMode = 'default' | 'pull' | 'local';

/** Remembers what references resolved to, so that a build goes on when the network does not. */
export interface FactStore {
  get(kind: string, key: string): { readonly value: unknown } | undefined;
  put(kind: string, key: string, value: unknown): void;
}

/** What images are found and fetched with. */
export interface ImageSourceOptions {
  readonly store: Store;
  /** Holds every blob that is found or fetched. */
  readonly lease: Lease;
  readonly registry: Registry;
  readonly facts?: FactStore;
  /** What names stand for by a lock file; told of what others stand for. */
  readonly pins?: Pins;
  /** The registry answers nothing: what names stood for before has to do. */
  readonly offline?: boolean;
  /** Layers in transfer at a time. Default 4. */
  readonly concurrency?: number;
  /** Milliseconds since the epoch, for events. */
  readonly now: () => number;
  /** Told what images were found by, other than their digests: by a file of the local image store with its text, or by asking elsewhere. */
  readonly observe?: {
    local(path: string, text: string): void;
    elsewhere(): void;
  };
}

/** How a reference is resolved. */
export interface ResolveOptions {
  /** Default `default`. */
  readonly mode?: ResolveMode;
}

/** A layer of an image, as the registry has it and as it is once unpacked. */
export interface ImageLayer {
  readonly descriptor: Descriptor;
  /** Of the uncompressed tar. Whoever unpacks compares: only then is it known to be right. */
  readonly diffId: Digest;
}

/** An image for one platform: everything but the layers' bytes, which come when they are asked for. */
export interface ResolvedImage {
  /** Normalised: `docker.io/library/debian:12`, with `@sha256:…` if that was given; or `oci-layout://…`. */
  readonly ref: string;
  /** Of what the reference stands for, index or manifest: this is what LLB pins. */
  readonly digest: Digest;
  /** Of `digest`. */
  readonly descriptor: Descriptor;
  readonly manifestDigest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** The config's own bytes. */
  readonly configBytes: Uint8Array;
  /** Bottom first. */
  readonly layers: readonly ImageLayer[];
  /** Where a registry has it; absent for one that came by other means. */
  readonly repository?: Repository;
  /**
   * Brings a layer's blob into the store unless it is there. Any number of calls at a time; a blob is transferred once.
   * @param vertex what progress is reported under
   * @param onGrowing told of the file that the blob is written to, if it has to be transferred: it grows, its bytes are not verified,
   * and it moves once they are. Told again when the transfer begins anew.
   * @throws TsbuildError `TSB_NETWORK`, `TSB_REGISTRY`, `TSB_NOT_FOUND`, `TSB_DIGEST`, `TSB_STORE`, `TSB_CANCELED`
   */
  fetchLayer(task: Task, layer: Descriptor, vertex?: Digest, onGrowing?: (file: string) => void): Promise<void>;
}

/** Images by reference: of registries, of the store and of layouts. */
export interface ImageSource {
  /**
   * Resolves a reference for a platform.
   * @param ref an image reference (docker's defaults apply) or `oci-layout://path[:tag][@digest]`
   * @throws TsbuildError `TSB_USAGE` for a malformed reference; `TSB_NOT_FOUND` when there is no such image or none for
   * the platform; `TSB_IMAGE`, `TSB_DIGEST` when it is damaged or hostile; `TSB_NETWORK`, `TSB_REGISTRY`
   */
  resolve(task: Task, ref: string, platform: Platform, options?: ResolveOptions): Promise<ResolvedImage>;
  /**
   * Brings a single blob into the store, where nobody is asked for what is there.
   * @param from a repository, or the directory of an OCI layout
   * @param vertex what progress is reported under
   * @throws TsbuildError as `ResolvedImage.fetchLayer`
   */
  fetchBlob(task: Task, from: Repository | { readonly layout: string }, digest: Digest, vertex: Digest): Promise<void>;
}

/** Where the documents and blobs of one image come from when the store does not have them, for the task that waits for them. */
export type ImageOrigin = (task: Task) => ContentProvider;
