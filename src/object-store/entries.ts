import type { Task } from '../events/index.ts';
import type { GetOptions, ObjectContent } from './types.ts';

/** An entry of a service, found but not read. */
export interface Entry {
  readonly key: string;
  /** Its bytes, or a part; undefined where they are gone. */
  read(task: Task, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/**
 * A service that keeps bytes under keys for good: an entry is written once and never again, nothing lists them, each question is counted.
 * Keys are as names of objects are.
 */
export interface EntryService extends AsyncDisposable {
  /** For messages. */
  readonly id: string;
  /** Requests that a build should get along with. */
  readonly requestBudget: number;
  /** The entry of a key; undefined where there is none, or none yet that is whole. */
  find(task: Task, key: string): Promise<Entry | undefined>;
  /** The entry that was written last of those whose keys begin so. */
  newest(task: Task, prefix: string): Promise<Entry | undefined>;
  /** Writes an entry. @returns false when the key is taken, be it by one that is being written */
  create(task: Task, key: string, content: ObjectContent): Promise<boolean>;
}
