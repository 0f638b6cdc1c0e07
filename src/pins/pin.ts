import type { Digest } from '../util/index.ts';

/** An image by tag: the digest of its index or manifest, so that it holds for every platform. */
export interface ImagePin {
  readonly type: 'docker-image';
  /** Normalised: `docker.io/library/debian:12`. */
  readonly ref: string;
  readonly pin: Digest;
}

/** A git reference. */
export interface GitPin {
  readonly type: 'git';
  /** The address as it was given, without credentials, then `#` and the reference, if one was given. */
  readonly ref: string;
  /** What the reference points at: a commit, or the object of an annotated tag. 40 or 64 hexadecimal digits. */
  readonly pin: string;
  /** Full name of the reference, as `refs/heads/main`. */
  readonly name?: string;
  /** The commit of an annotated tag. */
  readonly commit?: string;
}

/** What a web address gives. */
export interface HttpPin {
  readonly type: 'http';
  /** The address without credentials. */
  readonly ref: string;
  readonly pin: Digest;
  /** Bytes. */
  readonly size: number;
  /** Last-Modified, in seconds since the epoch: the time of the file in the layer. */
  readonly modified?: number;
  /** Content-Disposition: it may name the file. */
  readonly disposition?: string;
}

/**
 * What a changeable name stands for. Types, `ref` and `pin` are those of BuildKit's build information (`sources` of
 * `moby.buildkit.buildinfo.v1`).
 */
export type Pin = ImagePin | GitPin | HttpPin;

/** A pin's name among all pins, which is also the order of a lock file. */
export function pinName({ type, ref }: Pick<Pin, 'type' | 'ref'>): string {
  return `${type} ${ref}`;
}
