import type { Descriptor } from '../image/index.ts';
import type { Task } from '../events/index.ts';
import type { Digest } from '../util/index.ts';

/** Told where a blob is written to while it is transferred; again when it begins anew, in another file. */
export type OnGrowing = (file: string, blob: Descriptor) => void;

/** Fetches the blob of a layer into the store; progress is reported under the vertex, if there is one. */
export type LayerFetcher = (task: Task, vertex?: Digest, onGrowing?: OnGrowing) => Promise<void>;

/** A file that a blob is written to right now. */
export interface GrowingBlob {
  readonly file: string;
  readonly blob: Descriptor;
  /** Given when nothing more will be written to it: the transfer failed, or began anew. */
  readonly ended: AbortSignal;
}

/** A blob on its way into the store. */
export class Incoming {
  /** Resolves when it is there, whole and verified. */
  readonly done: Promise<void>;
  /** The first file that it grows in; undefined when it was there before, or when no file is told of. Never rejects. */
  readonly growing: Promise<GrowingBlob | undefined>;

  /** @param fetch brings it, if it is not there */
  constructor(fetch: (onGrowing: OnGrowing) => Promise<void>) {
    const { promise, resolve } = Promise.withResolvers<GrowingBlob | undefined>();
    const ended = new AbortController();
    let isFirst = true;
    this.done = fetch((file, blob) => {
      if (isFirst) resolve({ file, blob, ended: ended.signal });
      else ended.abort(new Error('The transfer began anew'));
      isFirst = false;
    });
    this.growing = promise;
    this.done.then(
      () => resolve(undefined),
      (error: unknown) => {
        ended.abort(error);
        resolve(undefined);
      },
    );
  }
}
