import type { RingMemory } from './byte-ring.ts';
import type { Completion } from './completion.ts';

/** What a thread is told that writes the files of a layer. */
export interface ExtractLayerParams {
  /** The layer's tar comes through here. */
  readonly tar: RingMemory;
  readonly target: string;
  readonly lowers: readonly string[];
  /** Those of the layers below that are being unpacked right now. */
  readonly unfinished: readonly Completion[];
  readonly windows: boolean;
}

/** What the files of a layer take on disk. */
export interface ExtractedFiles {
  readonly bytes: number;
  readonly inodes: number;
}
