import type { LocalLayers } from '../file/local-layers.ts';
import type { OpPieces } from '../pieces.ts';

/** What steps need. */
export interface ExecPieces extends Pick<
  OpPieces,
  | 'snapshots'
  | 'credentials'
  | 'grants'
  | 'timeLimit'
  | 'limits'
  | 'recorded'
  | 'visitor'
  | 'travel'
  | 'emulation'
  | 'report'
> {
  readonly locals: LocalLayers;
  /** Begins to make the network of steps, unless that was done. */
  readonly prepareNetwork: () => void;
}
