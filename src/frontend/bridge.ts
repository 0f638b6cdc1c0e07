import type { Definition, ResolveMode } from '../llb/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import type { ImageConfig, Platform } from '../image/index.ts';

/**
 * All that the frontend can see of the world. The composition root implements it over registries, the local file system
 * and the solver; with a fake one, lowering is a pure function.
 */
export interface Bridge {
  /** Digest and config of an image. Called for reachable stages only, for several at a time. */
  resolveImage(request: ImageRequest): Promise<ResolvedImage>;
  /** A file of a local directory or of what a definition makes; undefined when it does not exist. */
  readFile(request: FileRequest): Promise<Uint8Array | undefined>;
  /**
   * When the content of a remote source was made, in seconds since the epoch: the commit time of a git source, Last-Modified
   * of a web resource, else the newest file of an archive; undefined when it cannot be known.
   */
  sourceTime(request: SourceTimeRequest): Promise<number | undefined>;
  /** The result of another target, for named contexts of the form `input:<name>`; undefined when there is none. */
  input?(name: string): Promise<BridgeInput | undefined>;
}

/** A base image, or one that COPY reads from. */
export interface ImageRequest {
  /** Normalized, e.g. `docker.io/library/alpine:latest`. */
  readonly reference: string;
  /** As the Dockerfile has it, where a name without a registry may mean another image here. */
  readonly written?: string;
  readonly platform: Platform;
  readonly mode: ResolveMode;
  /** The OCI layout, by the name under which the build request has it, that holds the image. */
  readonly ociLayout?: string;
  /** Name of the vertex that progress shows, e.g. `[internal] load metadata for …`. */
  readonly name: string;
}

/** What the frontend has to know of an image. */
export interface ResolvedImage {
  /** Digest of the manifest or index that the reference stands for. */
  readonly digest?: Digest;
  readonly config: ImageConfig;
  /** The reference that was used instead, when a rule sent it elsewhere. */
  readonly reference?: string;
}

/** A rule has made something else of an image, which a named context can be as well. */
export class ConvertedImage extends TsbuildError {
  /** The identifier of the source: `local://NAME`, `https://…`. */
  readonly identifier: string;

  /** @param error for who needs an image */
  constructor(error: TsbuildError, identifier: string) {
    super(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint });
    this.identifier = identifier;
  }
}

/** A Dockerfile, an ignore file, or one of a remote context. */
export interface FileRequest {
  readonly from: FileOrigin;
  /** Relative to the root, never leaves it. */
  readonly path: string;
  /** Name of the vertex that progress shows. */
  readonly name: string;
  /** Only that many bytes from the start are needed. */
  readonly limit?: number;
}

/** Where a file is looked for. */
export type FileOrigin =
  /** A local directory by the name under which the build request has it. */
  { readonly kind: 'local'; readonly name: string } | { readonly kind: 'definition'; readonly definition: Definition };

/** A remote context whose age becomes `SOURCE_DATE_EPOCH=context`. */
export interface SourceTimeRequest {
  /** Has exactly one source op, of kind git or http. */
  readonly definition: Definition;
  readonly name: string;
}

/** Another target's result as the base of this one. */
export interface BridgeInput {
  readonly definition: Definition;
  readonly config?: ImageConfig;
}
