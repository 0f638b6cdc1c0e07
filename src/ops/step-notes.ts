import type { TreeListing } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';

/** What a name stood for. */
export interface SourceNote {
  readonly what: 'base' | 'source';
  /** The reference or address. */
  readonly name: string;
  /** A digest, a commit. */
  readonly value: string;
}

/** Told what steps read, for who explains later why one ran. Costs next to nothing where nobody asks. */
export interface StepNotes {
  source(vertex: Digest, note: SourceNote): void;
  /**
   * A step reads something of an input that has this content key.
   * @param list what it read; asked for when that is not known already, perhaps much later
   */
  read(vertex: Digest, input: number, content: Digest, list: () => TreeListing): void;
}
