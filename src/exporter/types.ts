import type { Descriptor, HistoryEntry, ImageConfig, Platform } from '../image/index.ts';
import type { Digest } from '../util/index.ts';

/** A layer of a result, as a blob. */
export interface ExportLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** When the layer was made, ms since the epoch; absent for layers of a base image whose history tells. */
  readonly createdAt?: number;
  /** What made it, for layers that the history does not mention. */
  readonly description?: string;
}

/** The result of a build for one platform. */
export interface PlatformImage {
  readonly platform: Platform;
  /** From the frontend; `rootfs` is filled in here, `history` completed. */
  readonly config: ImageConfig;
  /** History of the base image: entries that are equal to it keep their times whatever the epoch. */
  readonly baseHistory?: readonly HistoryEntry[];
  /** Bottom first. */
  readonly layers: readonly ExportLayer[];
}

/** Annotations of one image, by where they go. */
export interface ImageAnnotations {
  readonly manifest?: Readonly<Record<string, string>>;
  readonly manifestDescriptor?: Readonly<Record<string, string>>;
}

/** Annotations as requested. Those of a platform win over those of all. */
export interface Annotations {
  readonly all: ImageAnnotations;
  /** By formatted platform, e.g. `linux/arm/v7`. */
  readonly platforms: ReadonlyMap<string, ImageAnnotations>;
  readonly index: Readonly<Record<string, string>>;
  readonly indexDescriptor: Readonly<Record<string, string>>;
}

/** What an output asks of the form of an image. */
export interface AssembleOptions {
  /** False writes Docker's media types. Default true. */
  readonly ociMediaTypes?: boolean;
  /** Seconds since the epoch: times of the build itself are at most this (SOURCE_DATE_EPOCH). */
  readonly epoch?: number;
  readonly annotations?: Annotations;
  /** An index even for one platform (`BUILDKIT_MULTI_PLATFORM`). More platforms always have one. */
  readonly forceIndex?: boolean;
}

/** A document that is made here and is part of the image. */
export interface ImageDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** One platform of an assembled image. */
export interface AssembledPlatform {
  readonly platform: Platform;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  /** Bottom first, in the media types of the manifest. */
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

/** An image that is complete but for being put somewhere. Its layers are blobs of the store. */
export interface AssembledImage {
  /** Of the manifest, or of the index. */
  readonly root: Descriptor;
  /** Children before parents, each once. */
  readonly documents: readonly ImageDocument[];
  readonly platforms: readonly AssembledPlatform[];
  /** The newest `created` of its configs, RFC 3339. */
  readonly created?: string;
}
