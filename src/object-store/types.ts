import type { Task } from '../events/index.ts';

/** An object as a listing tells of it. */
export interface StoredObject {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** When it was written or touched, in milliseconds since the epoch; 0 where the store does not tell. */
  readonly modifiedAt: number;
}

/** What to read of an object. */
export interface GetOptions {
  /** An object, or range of one, that is longer than this many bytes is refused. */
  readonly maxBytes: number;
  /** Only these bytes: `length` from `start`. A store answers just them, or fails; never the whole object in their place. */
  readonly range?: { readonly start: number; readonly length: number };
  /** It is only looked at: stores that take what is read for used do not do so. */
  readonly onlyLooks?: boolean;
}

/** The bytes of an object that is written. */
export interface ObjectContent {
  /** Bytes in all; a store may count on it. */
  readonly size: number;
  /** Starts over: a store that has to send it again calls it once more. Chunks are only valid until the next one. */
  open(): AsyncIterable<Uint8Array>;
}

/** How an object is written. */
export interface PutOptions {
  /**
   * One that is there already is left as it is, and that is no error: names follow from contents or keys, so that whoever wrote it
   * wrote the same or as good. A store without conditional writes may look first and then write. Default: it is replaced.
   */
  readonly ifAbsent?: boolean;
}

/**
 * Named bytes in a directory or a bucket of some service: where caches of builds are kept. Names are of `a-z`, `0-9`, `.`, `_`, `-` and `/`,
 * with no part that is empty, `.` or `..`, and have at most 512 characters; whoever implements this refuses others, since names may come
 * from what others wrote.
 *
 * An object is visible when it is complete, and never in part. Most are written once and stay as they are; one that is replaced shows
 * its readers either content. What is read was written by anybody who may write there: whoever reads verifies.
 *
 * Every operation ends with the task's signal, tries again by itself what may pass (a busy service, a lost connection), and
 * fails with a TsbuildError that names the store and the object, says why and what may help: `TSB_REGISTRY` where the service
 * refuses, `TSB_NETWORK` where it does not answer, `TSB_PERMISSION` and `TSB_NO_SPACE` where it is a disk. Keys and signed addresses are in no message.
 */
export interface ObjectStore {
  /** Names the store in messages, e.g. `s3://bucket/prefix` or a path. */
  readonly id: string;
  /** How many requests a build should get along with, where a service allows only so many; absent: as many as it takes. */
  readonly requestBudget?: number;
  /**
   * The bytes of an object; undefined when there is none of that name.
   * @throws TsbuildError `TSB_DIGEST` when it is longer than `maxBytes`, at the latest when so many were read, and when it ends early
   */
  get(task: Task, name: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Whether there is an object of that name, and its size in bytes. Reads nothing of it. */
  head(task: Task, name: string): Promise<{ readonly size: number } | undefined>;
  /**
   * Writes an object, whole or not at all.
   * @throws TsbuildError `TSB_INTERNAL` when the content has another size than it says; what reading the content throws, as it is
   */
  put(task: Task, name: string, content: ObjectContent, options?: PutOptions): Promise<void>;
  /** All objects whose names begin with `prefix`, in no certain order. What is written or deleted meanwhile may be among them or not. */
  list(task: Task, prefix: string): AsyncIterable<StoredObject>;
  /** Makes an object as young as if it were written now, for services that delete what is old. None of that name is no error. */
  touch?(task: Task, name: string): Promise<void>;
  /** Deletes an object. None of that name is no error. */
  delete?(task: Task, name: string): Promise<void>;
  /**
   * Makes what was put so far visible to others, for a store that gathers small objects because each request counts; until then it is
   * visible in this one. To be called when much was put, and at the end. What was put and could not be written stays for the next time.
   */
  flush?(task: Task): Promise<void>;
}
