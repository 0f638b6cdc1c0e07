import type { OpPieces } from '../pieces.ts';

/** What source ops need. */
export type SourcePieces = Pick<OpPieces, 'snapshots' | 'origins' | 'credentials' | 'report'>;
