import type { HttpClient } from '../registry/index.ts';
import type { Digest } from '../util/index.ts';
import type { Pins, Refusals } from '../pins/index.ts';
import type { FactStore } from './image-types.ts';

/** What downloads need of their build. */
export interface HttpSourceOptions {
  readonly client: HttpClient;
  /** Remembers what URLs gave, to ask only whether it has changed. */
  readonly facts?: FactStore;
  /** What addresses give by a lock file; told of what others give. */
  readonly pins?: Pins;
  /** Set: no server is asked. */
  readonly offline?: Refusals;
  /** Makes an empty private directory that is removed when the command ends. */
  readonly temporary: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Larger downloads are refused. Bytes, default 64 GiB. */
  readonly maxBytes?: number;
}

/** A web resource with what decides about its content. */
export interface HttpResource {
  readonly url: string;
  /** Headers that the server is sent, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Value of the `Authorization` header, for the URL's own origin only. */
  readonly authorization?: string;
  /** Names the secret of `authorization`: what it gave is not what others get. */
  readonly authName?: string;
}

/** What a URL gives at present. */
export interface HttpContent {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly lastModified?: number;
  /** The `Content-Disposition` header. */
  readonly disposition?: string;
}

/** Content that was downloaded. */
export interface HttpFile extends HttpContent {
  /** The only file of a private directory. */
  readonly path: string;
}
