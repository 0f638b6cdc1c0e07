import type { Task } from '../../events/index.ts';
import type { ContentProvider, Descriptor, Repository } from '../../image/index.ts';
import type { PushBlob } from '../../registry/index.ts';
import type { Digest } from '../../util/index.ts';

/** A layer that goes to a place. */
export interface LayerToPut extends PushBlob {
  /** Repositories that may have it. */
  readonly mountFrom: () => readonly Repository[];
}

/** Whether something is there already. */
export type PutOutcome = 'there' | 'mounted' | 'sent';

/**
 * Where the records of one scope are kept, with the layers that they name: a repository of a registry, or a store of objects. It answers for where
 * bytes lie and not for what they say: whoever reads decodes and verifies. What cannot be reached is an error.
 * test/suites/shared-cache.ts states what all places hold to.
 */
export interface StepPlace {
  /** Names the place in messages. */
  readonly id: string;
  readonly scope: string;
  /** @see ObjectStore.requestBudget */
  readonly requestBudget?: number | undefined;
  /** The repository that has the layers, where it is one: others of the registry can have them from there. */
  readonly repository?: Repository;
  /** Where layers are read. */
  content(task: Task): ContentProvider;
  /** The envelope of a record; undefined when there is none. */
  record(task: Task, name: string): Promise<Uint8Array | undefined>;
  /** The scope's index; undefined when there is none. */
  index(task: Task): Promise<Uint8Array | undefined>;
  /** Makes sure that a layer is there. @param again also when it is there already: it is damaged */
  putLayer(task: Task, layer: LayerToPut, again: boolean): Promise<PutOutcome>;
  /**
   * Writes a record whose layers are there.
   * @param replace an earlier one of that name is not to be used any more
   * @returns whether it was written; false when there was one
   */
  putRecord(
    task: Task,
    name: string,
    envelope: Uint8Array,
    layers: readonly Descriptor[],
    replace: boolean,
  ): Promise<boolean>;
  putIndex(task: Task, index: Uint8Array): Promise<void>;
  /** Makes what was written visible to others, where that is gathered first: at the end. */
  flush?(task: Task): Promise<void>;
  /** Keeps records and layers from expiring, where a service deletes what is old. */
  touch?(task: Task, names: readonly string[], layers: readonly Digest[]): Promise<void>;
  /**
   * Deletes what was not used for longest, of all scopes, until all of it takes at most so many bytes.
   * @returns the names of the records of this scope that are gone; the index still has them
   */
  prune?(task: Task, maxBytes: number): Promise<readonly string[]>;
}
